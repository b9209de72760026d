import { isIP } from 'node:net';
import { AdminError, type AdminRequest } from './http.ts';

/** Which host names the admin routes answer to, beside addresses and `localhost`. */
export interface AdminHosts {
  /** Names, or `*.` and the end of names; in lower case. */
  readonly names: readonly string[];
  /** Where they are configured, for who is refused. */
  readonly setting: string;
}

/**
 * Why a request is not answered; null where it is. The routes are unauthenticated, so another site
 * must not use the browser of an operator who can reach them: neither under a name of that site's
 * own (DNS rebinding) nor from a page of it.
 */
export function foreignRequest(req: AdminRequest, hosts: AdminHosts): AdminError | null {
  return foreignHost(req, hosts) ?? foreignPage(req, hosts);
}

function foreignHost(req: AdminRequest, { names, setting }: AdminHosts): AdminError | null {
  // RFC 9112, section 3.2.2: the authority of an absolute target counts, and not the Host.
  const target = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(req.originalUrl)?.[1];
  for (const host of [target, hostOf(req)]) {
    // Every browser says which host it asks.
    if (host === undefined) continue;
    const name = nameIn(host);
    if (name !== null && isKnown(name, names)) continue;
    return new AdminError(
      421,
      `the host ${quoted(host)} is not one that the admin routes answer to: ask an IP address or localhost, or add the name to ${setting}`,
    );
  }
  return null;
}

function foreignPage(req: AdminRequest, { names, setting }: AdminHosts): AdminError | null {
  const { origin } = req.headers;
  const site = req.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation(req)) {
    return new AdminError(403, 'the admin routes do not answer to the pages of another site');
  }
  if (origin === undefined || isOwnOrigin(origin, hostOf(req), names, site)) return null;
  return new AdminError(
    403,
    `the admin routes do not answer to pages of ${quoted(origin)}; where that is this admin port behind a proxy, add its name to ${setting}`,
  );
}

/** A link to the dashboard from another site shows it to a person, and tells that site nothing. */
function isNavigation({ method, headers }: AdminRequest): boolean {
  const isRead = method === 'GET' || method === 'HEAD';
  return (
    isRead && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
  );
}

function isOwnOrigin(
  origin: string,
  host: string | undefined,
  names: readonly string[],
  site: string | string[] | undefined,
): boolean {
  const [, scheme, own] = /^(https?):\/\/([^/]+)$/i.exec(origin) ?? [];
  if (scheme === undefined || own === undefined) return false;
  if (host !== undefined && isSameHost(own, host)) return true;
  // A proxy may have put another Host in its place; the browser knows better where the page is from.
  const name = nameIn(own);
  return site === 'same-origin' && name !== null && matches(name, names);
}

/** A proxy may have taken the TLS off, so the port that a scheme has by itself may be left out of either. */
function isSameHost(one: string, other: string): boolean {
  const plain = (host: string) => host.toLowerCase().replace(/:(80|443)$/, '');
  return plain(one) === plain(other);
}

function hostOf({ headers }: AdminRequest): string | undefined {
  // HTTP/2 has it in a pseudo-header.
  const { host = headers[':authority'] } = headers;
  return Array.isArray(host) ? host.join() : host;
}

/** The name or address without its port, in lower case; null where that is no host. */
function nameIn(host: string): string | null {
  const [, address, name] = /^(?:\[([^\]]+)\]|([^:@/\\?#\s[\]]+))(?::\d{1,5})?$/.exec(host) ?? [];
  if (address !== undefined) return isIP(address) === 6 ? address : null;
  return name === undefined ? null : name.toLowerCase().replace(/\.$/, '');
}

function isKnown(name: string, names: readonly string[]): boolean {
  if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true;
  return matches(name, names);
}

function matches(name: string, names: readonly string[]): boolean {
  return names.some((one) => (one.startsWith('*.') ? name.endsWith(one.slice(1)) : name === one));
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
