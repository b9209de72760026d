import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { BodyContent } from '../shared/body-content.ts';
import { canonicalMembers } from '../shared/json/json-scan.ts';
import { type Later, type RequestBody, whenKnown } from '../shared/request-body.ts';
import type { Recent } from '../shared/recent.ts';
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
  /** What counts of the body. */
  readonly counting: Later<Counting>;
  /** Of what counts of the body. */
  readonly bodyDigest: Later<string>;
}

/** What counts of a body. */
export interface Counting {
  /** Of all its members, whether they count or not. */
  readonly names: readonly string[];
  /** Its members that count, in canonical form or by a digest of that; null where it has none. */
  readonly members: ReadonlyMap<string, string> | null;
  /** Of all of it, where it has no canonical form: which of two members the provider reads is its own affair. */
  readonly digest: string;
}

export type Varying = readonly [name: string, value: string];

/** What makes keys of one step: its settings, and what it remembers of bodies that it has seen. */
export interface KeyMaking {
  readonly settings: HeaderSettings & Pick<LlmCacheSettings, 'namespace' | 'ignoreFields'>;
  readonly digest: Digest;
  /** Whether the upstream behind an apiEndpoint gets the `Host` that the client sent. */
  forwardsHost(apiEndpoint: string | null): boolean;
  /** By the body's id; the same bytes are not canonicalised again. */
  readonly remembered?: Recent<KnownDigest> | undefined;
}

/** The `bodyDigest` of a body that was seen before, and what it was asked for. */
export interface KnownDigest {
  readonly protocol: string;
  readonly isStream: boolean;
  readonly digest: string;
}

export function keyMaterial(
  request: LlmRequest,
  asked: AskedBody,
  scope: string,
  making: KeyMaking,
): KeyMaterial {
  const { isStream, namespace: added } = asked;
  const vary = varyingHeaders(request, isStream, making);
  const named = {
    namespace: making.settings.namespace ?? request.apiEndpoint ?? 'default',
    scope,
    protocol: request.protocol.name,
    path: request.path,
    query: request.query,
    forwardedUrl: request.forwardedUrl,
    vary:
      added === null ? vary : [...vary, ['x-cache-namespace', making.digest.hmac(added)] as const],
    isStream,
  };
  return new Material(named, asked.body, making);
}

/** The same request with another body. */
export function withBody(
  material: KeyMaterial,
  body: AskedBody['body'],
  making: KeyMaking,
): KeyMaterial {
  return new Material(material, body, making);
}

/** A body, and what is known of it. */
export interface AskedBody {
  readonly body: Pick<RequestBody, 'id' | 'content'>;
  readonly isStream: boolean;
  /** What the client adds to its keys; null for nothing. */
  readonly namespace: string | null;
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
  readonly #making: KeyMaking;
  /** As long as it may be asked: it is large, and its client's answer may take minutes. */
  #body: AskedBody['body'] | null;
  #counting: Later<Counting> | null = null;

  constructor(
    named: Omit<KeyMaterial, 'counting' | 'bodyDigest'>,
    body: AskedBody['body'],
    making: KeyMaking,
  ) {
    this.namespace = named.namespace;
    this.scope = named.scope;
    this.protocol = named.protocol;
    this.path = named.path;
    this.query = named.query;
    this.forwardedUrl = named.forwardedUrl;
    this.vary = named.vary;
    this.isStream = named.isStream;
    this.#body = body;
    this.#making = making;
  }

  /** Most requests are known, and then this is not asked for. */
  get counting(): Later<Counting> {
    if (this.#counting !== null || this.#body === null) return this.#counting ?? nothing;
    const { ignoreFields } = this.#making.settings;
    this.#counting = whenKnown(this.#body.content, (content) =>
      countingOf(content, this.isStream, ignoreFields),
    );
    this.#body = null;
    return this.#counting;
  }

  get bodyDigest(): Later<string> {
    return whenKnown(this.#body?.id ?? '', (id) => {
      const { digest, remembered } = this.#making;
      // Gemini's target, and not its body, says whether it streams.
      const { protocol, isStream } = this;
      const known = id === '' ? undefined : remembered?.get(id);
      if (known?.protocol === protocol && known.isStream === isStream) return known.digest;
      return whenKnown(this.counting, (counting) => {
        const found = digest.sha256(countingText(counting));
        if (id !== '') remembered?.set(id, { protocol, isStream, digest: found });
        return found;
      });
    });
  }
}

const nothing: Counting = { names: [], members: null, digest: '' };

function countingText({ members, digest }: Counting): string {
  return members === null ? `raw ${digest}` : joinMembers(members);
}

/** The only maker of a cache key: `namespace:scope:digest`. It tells nothing of prompt or credential. */
export function cacheKey(material: KeyMaterial, digest: Digest): Later<string> {
  return whenKnown(material.bodyDigest, (bodyDigest) => {
    const { namespace, scope, protocol, path, vary } = material;
    const varying = vary.length === 0 ? '[]' : JSON.stringify(vary);
    const mode = material.isStream ? 'stream' : 'json';
    const url = urlText(material, digest);
    const digested = `${version}\n${protocol}\n${path}\n${url}\n${varying}\n${mode}\n${bodyDigest}`;
    return `${encodeURIComponent(namespace)}:${scope}:${digest.sha256(digested)}`;
  });
}

/** What may have a credential in it is keyed, so that it cannot be found by trying. */
function urlText({ query, forwardedUrl }: KeyMaterial, digest: Digest): string {
  if (query === '' && !/[?@]/.test(forwardedUrl)) return `\n${forwardedUrl}`;
  return `keyed\n${digest.hmac(JSON.stringify([query, forwardedUrl]))}`;
}

/** As they will be forwarded, by the client or by a policy. */
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

function countingOf(
  { outline, members: all, digest }: BodyContent,
  isStream: boolean,
  ignored: readonly string[],
): Counting {
  const names = Object.keys(outline);
  if (all === null) return { names, members: null, digest };
  const members = new Map(all);
  for (const name of ignored) members.delete(name);
  // The mode is in the key already; an API without streams may read anything into the member.
  const mode = members.get('stream');
  if (isStream || mode === 'false' || mode === 'null') members.delete('stream');
  if (isStream) normaliseStreamOptions(members);
  else members.delete('stream_options');
  return { names, members, digest };
}

/** `include_usage: false` is what a provider does without it, and so are no options at all. */
function normaliseStreamOptions(members: Map<string, string>): void {
  const text = members.get('stream_options');
  const options = text?.startsWith('{') ? canonicalMembers(text) : null;
  if (options === null) return;
  const counting = [...options].filter(
    ([name, value]) => name !== 'include_usage' || value !== 'false',
  );
  if (counting.length === 0) members.delete('stream_options');
  // Not JSON, so that no other value is spelt so.
  else members.set('stream_options', `=${joinMembers(new Map(counting))}`);
}

/** One text for the same members, in whatever order. */
export function joinMembers(members: ReadonlyMap<string, string>): string {
  return JSON.stringify([...members].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
