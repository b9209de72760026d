import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { RequestBody } from '../shared/request-body.ts';
import { canonicalMembers, joinMembers } from './canonical.ts';

// Part of the digest: a change of what is in it, or how, must not meet old entries.
const version = 'llm-cache key 1';

/**
 * The only maker of a cache key: `namespace:scope:digest`, the digest over all that the provider
 * reads and that changes the answer. It tells nothing of prompt or credential.
 */
export function cacheKey(
  request: LlmRequest,
  body: RequestBody,
  scope: string,
  settings: LlmCacheSettings,
  digest: Digest,
): string {
  const vary = [...new Set(settings.varyHeaders.map((name) => name.toLowerCase()))]
    .toSorted()
    .map((name) => [name, request.header(name) ?? null]);
  const isStream = request.protocol.isStream(body.json);
  const material = [
    version,
    request.protocol.name,
    request.path,
    request.query,
    request.forwardedUrl,
    JSON.stringify(vary),
    isStream ? 'stream' : 'json',
    canonicalBody(body.text, isStream, settings.ignoreFields),
  ];
  const namespace = settings.namespace ?? request.apiEndpoint ?? 'default';
  return `${encodeURIComponent(namespace)}:${scope}:${digest.sha256(material.join('\n'))}`;
}

function canonicalBody(text: string, isStream: boolean, ignored: readonly string[]): string {
  const members = canonicalMembers(text);
  // No canonical form (duplicate members, …): which one the provider reads is its own affair.
  if (members === null) return `raw ${text}`;
  for (const name of ignored) members.delete(name);
  // The mode is in the key already; an API without streams may read anything into the member.
  const mode = members.get('stream');
  if (isStream || mode === 'false' || mode === 'null') members.delete('stream');
  if (isStream) normaliseStreamOptions(members);
  else members.delete('stream_options');
  return joinMembers(members);
}

/** `include_usage: false` is what a provider does without it, and so are no options at all. */
function normaliseStreamOptions(members: Map<string, string>): void {
  const text = members.get('stream_options');
  const options = text?.startsWith('{') ? canonicalMembers(text) : null;
  if (!options) return;
  if (options.get('include_usage') === 'false') options.delete('include_usage');
  if (options.size === 0) members.delete('stream_options');
  else members.set('stream_options', joinMembers(options));
}
