import type { ByteAccount } from '../../policies/shared/bytes/budget.ts';
import type { BodyReason, LlmRequest } from '../../policies/shared/exchange.ts';
import type { Identity } from '../../policies/shared/identity/identity.ts';
import { findProtocol } from '../../policies/shared/protocols/index.ts';
import type { Protocol } from '../../policies/shared/protocols/protocol.ts';
import { nodeReading } from '../../policies/hosts/node/body.ts';
import {
  cacheKey,
  type KeyMaking,
  type KeyMaterial,
  keyMaterial,
} from '../../policies/llm-cache/key.ts';
import { type Later, RequestBody } from '../../policies/shared/request-body.ts';

/** The parts of a request that a test sets; the rest is a plain chat completion. */
export interface RequestParts {
  /** Decides the protocol, as in the gateway. */
  readonly path?: string;
  /** Includes the question mark. */
  readonly query?: string;
  readonly forwardedUrl?: string;
  readonly apiEndpoint?: string | null;
  /** Default: `none`. */
  readonly identity?: Identity;
  /** The headers as forwarded. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The headers as the client sent them. Default: `headers`. */
  readonly ownHeaders?: Readonly<Record<string, string | readonly string[]>>;
  /** Text or bytes are used unchanged, anything else as JSON. */
  readonly body?: unknown;
  /** Why the body could not be read. */
  readonly noBody?: BodyReason;
  readonly left?: AbortSignal;
  readonly whenOver?: (then: () => void) => void;
  /** The account for memory held for the request. Default: unlimited. */
  readonly account?: ByteAccount;
}

export function makeRequest(parts: RequestParts = {}): LlmRequest {
  const { path = '/v1/chat/completions', query = '', headers = {} } = parts;
  const forwarded = new Map(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const own = Object.entries(parts.ownHeaders ?? headers);
  const body = makeBody(parts.body ?? { model: 'gpt-4o', messages: [] });
  return {
    protocol: protocolAt(path),
    path,
    query,
    forwardedUrl: parts.forwardedUrl ?? `${path}${query}`,
    apiEndpoint: parts.apiEndpoint === undefined ? 'openai' : parts.apiEndpoint,
    requestId: null,
    identity: parts.identity ?? 'none',
    account: parts.account ?? { take: () => true, give() {} },
    whenOver: parts.whenOver ?? (() => {}),
    left: parts.left ?? new AbortController().signal,
    header: (name) => forwarded.get(name),
    headers,
    takesGzip: false,
    ownHeaders: own.flatMap(([name, values]) => [values].flat().flatMap((value) => [name, value])),
    body: async (maxBytes) => parts.noBody ?? (body.length > maxBytes ? 'request-too-large' : body),
  };
}

const reading = { ...nodeReading, memory: null };

/** Creates a body from text or bytes unchanged, or from anything else as JSON. */
export function makeBody(body: unknown): RequestBody {
  if (body instanceof Uint8Array) return new RequestBody([body], reading);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new RequestBody([new TextEncoder().encode(text)], reading);
}

function protocolAt(path: string): Protocol {
  const protocol = findProtocol(path);
  if (protocol === null) throw new Error(`no protocol is served at ${path}`);
  return protocol;
}

/** Returns the key of a request with that body, and the key's material. */
export function keyOfBody(
  request: LlmRequest,
  body: RequestBody,
  scope: string,
  making: KeyMaking,
): { readonly key: string; readonly material: KeyMaterial } {
  const facts = now(body.facts(request));
  const material = keyMaterial(request, { body, namespace: null, ...facts }, scope, making);
  return { key: now(cacheKey(material, making.digest)), material };
}

/** Returns the value, which must be available synchronously. */
export function now<T>(later: Later<T>): T {
  if (later instanceof Promise) throw new Error('it is not known yet');
  return later;
}
