import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { Recent } from '../shared/recent.ts';
import { canonicalMembers, joinMembers } from './canonical.ts';
import { headerRules, type HeaderSettings, inOrder } from './header-rules.ts';
import { unusualAccept, unusualType } from './media-types.ts';

// Part of the digest: a change of what is in it, or how, must not meet old entries.
const version = 'llm-cache key 4';

/** All that the provider reads and that changes the answer, and who may share it. */
export interface KeyMaterial {
  readonly namespace: string;
  readonly scope: string;
  readonly protocol: string;
  readonly path: string;
  readonly query: string;
  readonly forwardedUrl: string;
  /** The request's headers that change the answer, by name: each in lower case, with its value. */
  readonly vary: readonly Varying[];
  readonly isStream: boolean;
  /** The body's members that count, in canonical form; null where it has none, and all of `text` counts. */
  readonly members: ReadonlyMap<string, string> | null;
  readonly text: string;
  /** Of what counts of the body. */
  readonly bodyDigest: string;
}

export type Varying = readonly [name: string, value: string];

/** What makes keys of one step: its settings, and what it remembers of bodies that it has seen. */
export interface KeyMaking {
  readonly settings: HeaderSettings & Pick<LlmCacheSettings, 'namespace' | 'ignoreFields'>;
  readonly digest: Digest;
  /** Whether the upstream behind an apiEndpoint gets the `Host` that the client sent. */
  forwardsHost(apiEndpoint: string | null): boolean;
  /** `bodyDigest` by protocol and body; the same bytes are not canonicalised again. */
  readonly remembered?: Recent<string> | undefined;
}

export function keyMaterial(
  request: LlmRequest,
  body: RequestBody,
  scope: string,
  making: KeyMaking,
): KeyMaterial {
  return new Material(request, body, scope, making);
}

class Material implements KeyMaterial {
  readonly namespace: string;
  readonly scope: string;
  readonly protocol: string;
  readonly path: string;
  readonly query: string;
  readonly forwardedUrl: string;
  readonly vary: readonly Varying[];
  readonly isStream: boolean;
  readonly #body: RequestBody;
  readonly #making: KeyMaking;
  #members: ReadonlyMap<string, string> | null | undefined;

  constructor(request: LlmRequest, body: RequestBody, scope: string, making: KeyMaking) {
    const { namespace } = making.settings;
    this.namespace = namespace ?? request.apiEndpoint ?? 'default';
    this.scope = scope;
    this.protocol = request.protocol.name;
    this.path = request.path;
    this.query = request.query;
    this.forwardedUrl = request.forwardedUrl;
    this.isStream = body.facts(request.protocol).isStream;
    this.vary = varyingHeaders(request, this.isStream, making);
    this.#body = body;
    this.#making = making;
  }

  /** Most requests are known, and then nobody asks. */
  get members(): ReadonlyMap<string, string> | null {
    if (this.#members === undefined) {
      const { ignoreFields } = this.#making.settings;
      this.#members = countingMembers(this.text, this.isStream, ignoreFields);
    }
    return this.#members;
  }

  get text(): string {
    return this.#body.text;
  }

  get bodyDigest(): string {
    const { id } = this.#body;
    const { digest, remembered } = this.#making;
    if (id === null || remembered === undefined) return digest.sha256(countingText(this));
    const name = `${this.protocol} ${id}`;
    const known = remembered.get(name);
    if (known !== undefined) return known;
    const found = digest.sha256(countingText(this));
    remembered.set(name, found);
    return found;
  }
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
    ...urlTexts(material, digest),
    JSON.stringify(material.vary),
    material.isStream ? 'stream' : 'json',
    material.bodyDigest,
  ];
  const { namespace, scope } = material;
  return `${encodeURIComponent(namespace)}:${scope}:${digest.sha256(digested.join('\n'))}`;
}

/** What may have a credential in it is keyed, so that nobody finds it by trying. */
function urlTexts({ query, forwardedUrl }: KeyMaterial, digest: Digest): readonly string[] {
  if (query === '' && !/[?@]/.test(forwardedUrl)) return [query, forwardedUrl];
  return ['keyed', digest.hmac(JSON.stringify([query, forwardedUrl]))];
}

/** As they will be forwarded, whoever put them there. */
function varyingHeaders(request: LlmRequest, isStream: boolean, making: KeyMaking): Varying[] {
  const { settings, digest } = making;
  const { headers, apiEndpoint } = request;
  const rules = headerRules(settings);
  const found: Varying[] = [];
  for (const key of Object.keys(headers)) {
    const { name, varies, isSecret } = rules.of(key);
    if (varies === false || (varies === 'host' && !making.forwardsHost(apiEndpoint))) continue;
    const header = headers[key];
    const text = typeof header === 'string' ? header : header?.join(', ');
    const value = name === 'forwarded' ? hostsOf(text) : text;
    if (value !== undefined) found.push([name, isSecret ? digest.hmac(value) : value]);
  }
  const accept = unusualAccept(request.header('accept'), isStream);
  if (accept !== null) found.push(['accept', accept]);
  const type = unusualType(request.header('content-type'));
  if (type !== null) found.push(['content-type', type]);
  return inOrder(found);
}

/** RFC 7239, section 5.3: what else the header tells is of the client's connection, not of the answer. */
function hostsOf(forwarded: string | undefined): string | undefined {
  const hosts = forwarded?.match(/(?<=^|[;,\s])host=(?:"[^"]*"|[^;,\s]*)/gi);
  return hosts?.join().toLowerCase();
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
