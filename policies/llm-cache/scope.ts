import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { consumerId } from '../shared/consumer.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import { headerNames } from '../shared/header-names.ts';

/**
 * The circle that may share the answer to `request`, as a text that tells nothing of it; null where
 * the settings ask for one that the request does not have.
 */
export function scopeOf(
  request: LlmRequest,
  settings: Pick<LlmCacheSettings, 'scope' | 'credentialHeaders'>,
  digest: Digest,
): string | null {
  const { scope } = settings;
  if (scope === 'shared') return 'shared';
  if (scope !== 'credential') {
    const consumer = consumerId(request.consumer, digest);
    if (consumer !== null) return `u${digest.hmac(JSON.stringify(['consumer', consumer]))}`;
    if (scope === 'consumer') return null;
  }
  const credentials = credentialsOf(request, settings.credentialHeaders);
  if (credentials.length > 0) return `c${digest.hmac(JSON.stringify(['credential', credentials]))}`;
  return scope === 'auto' ? 'anonymous' : null;
}

/** The client's own, whatever a policy put in their place for the upstream. */
function credentialsOf(request: LlmRequest, names: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (const name of headerNames(names)) {
    for (const value of request.ownHeader(name)) if (value !== '') found.push([name, value]);
  }
  return found;
}

export type ScopeKind = 'consumer' | 'credential' | 'anonymous' | 'shared';

/** What a scope is one of. */
export function scopeKind(scope: string): ScopeKind {
  if (scope === 'shared' || scope === 'anonymous') return scope;
  return scope.startsWith('u') ? 'consumer' : 'credential';
}

/** The names of the credential headers that the request has, and goes by where its scope is of that kind. */
export function credentialNames(request: LlmRequest, names: readonly string[]): readonly string[] {
  return [...new Set(credentialsOf(request, names).map(([name]) => name))];
}
