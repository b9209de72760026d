import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import { headerNames } from '../shared/header-names.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { Recent } from '../shared/recent.ts';
import { canonicalMembers, joinMembers } from './canonical.ts';

// Part of the digest: a change of what is in it, or how, must not meet old entries.
const version = 'llm-cache key 2';

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
  /** Of what counts of the body. */
  readonly bodyDigest: string;
}

/** What makes keys of one step: its settings, and what it remembers of bodies that it has seen. */
export interface KeyMaking {
  readonly settings: Pick<LlmCacheSettings, 'namespace' | 'varyHeaders' | 'ignoreFields'>;
  readonly digest: Digest;
  /** `bodyDigest` by protocol and body; the same bytes are not canonicalised again. */
  readonly remembered?: Recent<string>;
}

export function keyMaterial(
  request: LlmRequest,
  body: RequestBody,
  scope: string,
  making: KeyMaking,
): KeyMaterial {
  const { settings } = making;
  const { isStream } = body.facts(request.protocol);
  let members: ReadonlyMap<string, string> | null | undefined;
  return {
    namespace: settings.namespace ?? request.apiEndpoint ?? 'default',
    scope,
    protocol: request.protocol.name,
    path: request.path,
    query: request.query,
    forwardedUrl: request.forwardedUrl,
    vary: headerNames(settings.varyHeaders).map((name) => [name, request.header(name) ?? null]),
    isStream,
    // Most requests are known, and then nobody asks.
    get members() {
      if (members === undefined) {
        members = countingMembers(body.text, isStream, settings.ignoreFields);
      }
      return members;
    },
    get text() {
      return body.text;
    },
    get bodyDigest() {
      const name = `${request.protocol.name} ${body.id}`;
      const known = body.id === null ? undefined : making.remembered?.get(name);
      if (known !== undefined) return known;
      const found = making.digest.sha256(countingText(this));
      if (body.id !== null) making.remembered?.set(name, found);
      return found;
    },
  };
}

function countingText({ members, text }: Pick<KeyMaterial, 'members' | 'text'>): string {
  // No canonical form (duplicate members, …): which one the provider reads is its own affair.
  return members === null ? `raw ${text}` : joinMembers(members);
}

/** The only maker of a cache key: `namespace:scope:digest`. It tells nothing of prompt or credential. */
export function cacheKey(material: KeyMaterial, digest: Digest): string {
  const digested = [
    version,
    material.protocol,
    material.path,
    material.query,
    material.forwardedUrl,
    JSON.stringify(material.vary),
    material.isStream ? 'stream' : 'json',
    material.bodyDigest,
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
