import type { Digest, LlmRequest } from '../shared/exchange.ts';
import { isKnown } from '../shared/identity/identity.ts';
import { headerRules, type HeaderSettings, inOrder } from './header-rules.ts';

/**
 * The circle that may share the answer to `request`, as a text that tells nothing of it; null where
 * the settings ask for one that the request does not have, and where it cannot be told who asks.
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

/** What the request carries, and the claims of a token without a subject, wherever that came from. */
function credentialsOf(request: LlmRequest, settings: HeaderSettings): readonly Credential[] {
  const found = [...headersThatTell(request, settings), ...parametersThatTell(request, settings)];
  if (settings.scope === 'credential') return found;
  const { identity } = request;
  const isNameless = typeof identity === 'object' && 'claims' in identity;
  return isNameless ? [...found, ['claims', identity.claims, 'token']] : found;
}

/**
 * The client's own, whatever a policy put in their place for the upstream; and what a policy tells
 * the upstream of who asks, in a header that is none of the listed.
 */
function headersThatTell(request: LlmRequest, settings: HeaderSettings): readonly Credential[] {
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
  return inOrder(found);
}

/** Parameters of the query, as `?key=` of Gemini's API. */
function parametersThatTell({ query }: LlmRequest, settings: HeaderSettings): Credential[] {
  if (query === '') return [];
  const rules = headerRules(settings);
  const found: Credential[] = [];
  for (const [name, value] of new URLSearchParams(query)) {
    if (value !== '' && rules.tellsInQuery(name)) found.push([name, value, 'query']);
  }
  return inOrder(found);
}

export type ScopeKind = 'consumer' | 'credential' | 'anonymous' | 'shared';

/** What a scope is one of. */
export function scopeKind(scope: string): ScopeKind {
  if (scope === 'shared' || scope === 'anonymous') return scope;
  return scope.startsWith('u') ? 'consumer' : 'credential';
}

/** The names of the credentials that the request has, and goes by where its scope is of that kind; `?key` is one of its query. */
export function credentialNames(request: LlmRequest, settings: HeaderSettings): readonly string[] {
  const headers = headersThatTell(request, settings).map(([name]) => name);
  const parameters = parametersThatTell(request, settings).map(([name]) => `?${name}`);
  return [...new Set([...headers, ...parameters])];
}
