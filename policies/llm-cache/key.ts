import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { BodyContent } from '../shared/body-content.ts';
import { canonicalMembers } from '../shared/json/json-scan.ts';
import { type Later, type RequestBody, whenKnown } from '../shared/request-body.ts';
import type { Recent } from '../shared/recent.ts';
import { headerRules, type HeaderSettings, sortedByName } from './header-rules.ts';
import { unusualAccept, unusualType } from './media-types.ts';

// Part of the digest, so that a new key format cannot match old entries.
const version = 'llm-cache key 4';

/** Everything in a request that changes the answer, and the scope that may share it. */
export interface KeyMaterial {
  readonly namespace: string;
  readonly scope: string;
  readonly protocol: string;
  readonly path: string;
  readonly query: string;
  readonly forwardedUrl: string;
  /** The headers that change the answer, sorted by lower-case name. */
  readonly vary: readonly Varying[];
  readonly isStream: boolean;
  /** The part of the body that counts for the key. */
  readonly counting: Later<Counting>;
  /** A digest of `counting`. */
  readonly bodyDigest: Later<string>;
}

/** The part of a body that counts for the key. */
export interface Counting {
  /** The names of all members, including those that do not count. */
  readonly names: readonly string[];
  /**
   * The members that count: each in canonical form, or as a digest of that form. Null if the body
   * has no canonical form.
   */
  readonly members: ReadonlyMap<string, string> | null;
  /**
   * The digest of the whole body; used if it has no canonical form, as with duplicate members, of
   * which the provider may read either.
   */
  readonly digest: string;
}

export type Varying = readonly [name: string, value: string];

/** What one pipeline step needs to compute keys: its settings, and the digests of recent bodies. */
export interface KeyMaking {
  readonly settings: HeaderSettings & Pick<LlmCacheSettings, 'namespace' | 'ignoreFields'>;
  readonly digest: Digest;
  /** Whether the upstream behind an apiEndpoint gets the `Host` that the client sent. */
  forwardsHost(apiEndpoint: string | null): boolean;
  /** By the body's id, so that identical bytes are canonicalised once. */
  readonly remembered?: Recent<KnownDigest> | undefined;
}

/** The `bodyDigest` of an earlier body, and the protocol and mode it was computed for. */
export interface KnownDigest {
  readonly protocol: string;
  readonly isStream: boolean;
  readonly digest: string;
}

/** Collects what the key of `request` is computed from. */
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

/** Returns the material of the same request with another body. */
export function withBody(
  material: KeyMaterial,
  body: AskedBody['body'],
  making: KeyMaking,
): KeyMaterial {
  return new Material(material, body, making);
}

/** A body, with its mode and the client's namespace. */
export interface AskedBody {
  readonly body: Pick<RequestBody, 'id' | 'content'>;
  readonly isStream: boolean;
  /** The client's `X-Cache-Namespace`; null without one. */
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
  /** Released after its first use: it is large, and the answer may take minutes. */
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

  /** Computed on first use: a remembered body does not need it. */
  get counting(): Later<Counting> {
    if (this.#counting !== null || this.#body === null) return this.#counting ?? emptyCounting;
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
      // The same body may be streamed or not: Gemini's URL says so, not its body.
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

const emptyCounting: Counting = { names: [], members: null, digest: '' };

function countingText({ members, digest }: Counting): string {
  return members === null ? `raw ${digest}` : joinMembers(members);
}

/**
 * Computes the cache key, `namespace:scope:digest`. No other code creates keys. A key reveals nothing
 * of prompt or credential.
 */
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

/** A URL that may contain a credential is hashed with a secret, so that it cannot be guessed. */
function urlText({ query, forwardedUrl }: KeyMaterial, digest: Digest): string {
  if (query === '' && !/[?@]/.test(forwardedUrl)) return `\n${forwardedUrl}`;
  return `keyed\n${digest.hmac(JSON.stringify([query, forwardedUrl]))}`;
}

/** Reads the headers as they will be forwarded, including those that a policy set. */
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
  return sortedByName(found);
}

/** Only `host` (RFC 7239, section 5.3) may change the answer; the rest describes the client's connection. */
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
  // The key contains the mode. Keep other values: an API without streams may interpret them.
  const mode = members.get('stream');
  if (isStream || mode === 'false' || mode === 'null') members.delete('stream');
  if (isStream) normaliseStreamOptions(members);
  else members.delete('stream_options');
  return { names, members, digest };
}

/** `include_usage: false` is the default, so it equals absent options. */
function normaliseStreamOptions(members: Map<string, string>): void {
  const text = members.get('stream_options');
  const options = text?.startsWith('{') ? canonicalMembers(text) : null;
  if (options === null) return;
  const counting = [...options].filter(
    ([name, value]) => name !== 'include_usage' || value !== 'false',
  );
  if (counting.length === 0) members.delete('stream_options');
  // `=` makes the text invalid JSON, so that it cannot equal any other value.
  else members.set('stream_options', `=${joinMembers(new Map(counting))}`);
}

/** Returns the same text for the same members in any order. */
export function joinMembers(members: ReadonlyMap<string, string>): string {
  return JSON.stringify([...members].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
