import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { RequestBody } from '../shared/request-body.ts';
import { canonicalMembers, joinMembers } from './canonical.ts';

// Part of the digest: a change of what is in it, or how, must not meet old entries.
const version = 'llm-cache key 1';

/** All that the provider reads and that changes the answer, and who may share it. */
export interface KeyMaterial {
  readonly namespace: string;
  readonly scope: string;
  readonly protocol: string;
  readonly path: string;
  readonly query: string;
  readonly forwardedUrl: string;
  /** The `varyHeaders` by name, with null for one that is absent. */
  readonly vary: readonly (readonly [string, string | null])[];
  readonly isStream: boolean;
  /** The body's members that count, in canonical form; null where it has none, and all of `text` counts. */
  readonly members: ReadonlyMap<string, string> | null;
  readonly text: string;
}

export function keyMaterial(
  request: LlmRequest,
  body: RequestBody,
  scope: string,
  settings: Pick<LlmCacheSettings, 'namespace' | 'varyHeaders' | 'ignoreFields'>,
): KeyMaterial {
  const isStream = request.protocol.isStream(body.json);
  return {
    namespace: settings.namespace ?? request.apiEndpoint ?? 'default',
    scope,
    protocol: request.protocol.name,
    path: request.path,
    query: request.query,
    forwardedUrl: request.forwardedUrl,
    vary: [...new Set(settings.varyHeaders.map((name) => name.toLowerCase()))]
      .toSorted()
      .map((name) => [name, request.header(name) ?? null]),
    isStream,
    members: countingMembers(body.text, isStream, settings.ignoreFields),
    text: body.text,
  };
}

/** The only maker of a cache key: `namespace:scope:digest`. It tells nothing of prompt or credential. */
export function cacheKey(material: KeyMaterial, digest: Digest): string {
  const { members, text } = material;
  const digested = [
    version,
    material.protocol,
    material.path,
    material.query,
    material.forwardedUrl,
    JSON.stringify(material.vary),
    material.isStream ? 'stream' : 'json',
    // No canonical form (duplicate members, …): which one the provider reads is its own affair.
    members === null ? `raw ${text}` : joinMembers(members),
  ];
  const { namespace, scope } = material;
  return `${encodeURIComponent(namespace)}:${scope}:${digest.sha256(digested.join('\n'))}`;
}

function countingMembers(
  text: string,
  isStream: boolean,
  ignored: readonly string[],
): ReadonlyMap<string, string> | null {
  const members = canonicalMembers(text);
  if (members === null) return null;
  for (const name of ignored) members.delete(name);
  // The mode is in the key already; an API without streams may read anything into the member.
  const mode = members.get('stream');
  if (isStream || mode === 'false' || mode === 'null') members.delete('stream');
  if (isStream) normaliseStreamOptions(members);
  else members.delete('stream_options');
  return members;
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
