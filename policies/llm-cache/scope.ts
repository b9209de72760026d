import type { Digest, LlmRequest } from '../shared/exchange.ts';
import { isKnown } from '../shared/identity/identity.ts';
import { headerRules, type HeaderSettings, sortedByName } from './header-rules.ts';

/**
 * Returns the scope whose members may share the answer to `request`, as text that reveals nothing
 * about them. Null if the request lacks what the `scope` setting requires, or if its identity is
 * unreadable.
 */
export function scopeOf(
  request: LlmRequest,
  settings: HeaderSettings,
  digest: Digest,
): string | null {
  const { scope } = settings;
  if (scope === 'shared') return 'shared';
  if (scope !== 'credential') {
    const { identity } = request;
    if (identity === 'unreadable') return null;
    if (isKnown(identity)) return `u${digest.hmac(`consumer\n${identity.text}`)}`;
    if (scope === 'consumer') return null;
  }
  const credentials = credentialsOf(request, settings);
  if (credentials.length > 0) return `c${digest.hmac(JSON.stringify(['credential', credentials]))}`;
  return scope === 'auto' ? 'anonymous' : null;
}

type Credential = readonly [
  name: string,
  value: string,
  from: 'client' | 'policy' | 'token' | 'query',
];

/** The credentials that the request carries, and the claims of a token that names no subject. */
function credentialsOf(request: LlmRequest, settings: HeaderSettings): readonly Credential[] {
  const found = [...identityHeaders(request, settings), ...identityParameters(request, settings)];
  if (settings.scope === 'credential') return found;
  const { identity } = request;
  const isNameless = typeof identity === 'object' && 'claims' in identity;
  return isNameless ? [...found, ['claims', identity.claims, 'token']] : found;
}

/**
 * The identity headers that the client sent, even if a policy replaces them for the upstream; and
 * those that a policy added, unless `credentialHeaders` lists them.
 */
function identityHeaders(request: LlmRequest, settings: HeaderSettings): readonly Credential[] {
  const rules = headerRules(settings);
  const found: Credential[] = [];
  const { ownHeaders, headers } = request;
  for (let at = 0; at + 1 < ownHeaders.length; at += 2) {
    const { name, identity } = rules.of(ownHeaders[at] ?? '');
    const value = ownHeaders[at + 1] ?? '';
    if (identity !== null && value !== '') found.push([name, value, 'client']);
  }
  const own = found.length;
  for (const key of Object.keys(headers)) {
    const { name, identity } = rules.of(key);
    if (identity !== 'name') continue;
    const value = String(headers[key] ?? '');
    const isOwn = found.slice(0, own).some((one) => one[0] === name && one[1] === value);
    if (value !== '' && !isOwn) found.push([name, value, 'policy']);
  }
  return sortedByName(found);
}

/** Query parameters that carry an identity, such as `?key=` in Gemini's API. */
function identityParameters({ query }: LlmRequest, settings: HeaderSettings): Credential[] {
  if (query === '') return [];
  const rules = headerRules(settings);
  const found: Credential[] = [];
  for (const [name, value] of new URLSearchParams(query)) {
    if (value !== '' && rules.isIdentityParameter(name)) found.push([name, value, 'query']);
  }
  return sortedByName(found);
}

export type ScopeKind = 'consumer' | 'credential' | 'anonymous' | 'shared';

/** Returns the kind of a scope that `scopeOf` returned. */
export function scopeKind(scope: string): ScopeKind {
  if (scope === 'shared' || scope === 'anonymous') return scope;
  return scope.startsWith('u') ? 'consumer' : 'credential';
}

/** Returns the names of the credentials in the request; a query parameter is written as `?name`. */
export function credentialNames(request: LlmRequest, settings: HeaderSettings): readonly string[] {
  const headers = identityHeaders(request, settings).map(([name]) => name);
  const parameters = identityParameters(request, settings).map(([name]) => `?${name}`);
  return [...new Set([...headers, ...parameters])];
}
