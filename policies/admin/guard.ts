import { isIP } from 'node:net';
import { AdminError, type AdminRequest } from './http.ts';

/** The host names that the admin routes answer to, besides IP addresses and `localhost`. */
export interface AdminHosts {
  /** Exact names, or suffixes with a leading `*.`; in lower case. */
  readonly names: readonly string[];
  /** The setting that lists them, for error messages. */
  readonly setting: string;
}

/**
 * Returns why a request is refused, or null if it is not. The routes are unauthenticated, so another
 * site must not reach them through an operator's browser, neither under a name that the site
 * controls (DNS rebinding) nor from one of its pages.
 */
export function foreignRequest(req: AdminRequest, hosts: AdminHosts): AdminError | null {
  return foreignHost(req, hosts) ?? foreignPage(req, hosts);
}

function foreignHost(req: AdminRequest, { names, setting }: AdminHosts): AdminError | null {
  // RFC 9112, section 3.2.2: the authority of an absolute-form target overrides the Host header.
  const target = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(req.originalUrl)?.[1];
  for (const host of [target, hostOf(req)]) {
    // Every browser sends the host, so a request without one is no browser's.
    if (host === undefined) continue;
    const name = nameIn(host);
    if (name !== null && isKnown(name, names)) continue;
    return new AdminError(
      421,
      `the host ${quoted(host)} is not one that the admin routes answer to: use an IP address or localhost, or add the name to ${setting}`,
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
    `the admin routes do not answer to pages of ${quoted(origin)}; if that is this admin port behind a proxy, add its name to ${setting}`,
  );
}

/**
 * Allows a link to the dashboard from another site: the user sees the page, and that site learns
 * nothing.
 */
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
  // A proxy may have replaced the Host; the browser's own statement about the page's site counts.
  const name = nameIn(own);
  return site === 'same-origin' && name !== null && matches(name, names);
}

/** Ignores the default ports of both schemes: a proxy may have terminated TLS. */
function isSameHost(one: string, other: string): boolean {
  const plain = (host: string) => host.toLowerCase().replace(/:(80|443)$/, '');
  return plain(one) === plain(other);
}

function hostOf({ headers }: AdminRequest): string | undefined {
  // HTTP/2 sends the host in a pseudo-header.
  const { host = headers[':authority'] } = headers;
  return Array.isArray(host) ? host.join() : host;
}

/** Returns the name or address without its port, in lower case; null if `host` is invalid. */
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
