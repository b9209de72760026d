import { type ByteBudget, ClientAccount } from '../../shared/bytes/budget.ts';
import { clientsOf } from '../../shared/identity/client-of.ts';
import type { BodyReason, Exchange, LlmRequest } from '../../shared/exchange.ts';
import type { Identity } from '../../shared/identity/identity.ts';
import { findProtocol } from '../../shared/protocols/index.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import type { RequestBody } from '../../shared/request-body.ts';
import { type ReadBody, readBody } from './body.ts';

export interface WebExchangeParts {
  readonly protocol: Protocol;
  readonly budget: ByteBudget;
  readonly namespace: string | null;
  /** Throws if the consumer could not be determined. */
  readonly identity: () => Identity;
}

/** The status with which platforms answer if the handler fails. */
const internalServerError = 500;

/** One request to a fetch handler. */
export class WebExchange implements Exchange {
  readonly request: WebRequest;
  status = internalServerError;
  providerStatus: number | null = null;
  cacheType: Exchange['cacheType'] = null;
  cacheKey: Exchange['cacheKey'] = null;
  answer: Exchange['answer'] = null;
  saved: Exchange['saved'] = null;
  #isOver = false;
  readonly #callbacks: (() => void)[] = [];

  constructor(request: Request, parts: WebExchangeParts) {
    this.request = new WebRequest(request, parts, (then) => this.whenOver(then));
  }

  whenOver(then: () => void): void {
    if (this.#isOver) then();
    else this.#callbacks.push(then);
  }

  /** The response is complete or broken off. May be called more than once. */
  over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.request.release();
    for (const then of this.#callbacks) then();
  }
}

/** The API that a request's method and path name; null if the cache does not serve the request. */
export function protocolOf(request: Request): Protocol | null {
  return request.method === 'POST' ? findProtocol(new URL(request.url).pathname) : null;
}

/** A request to a fetch handler, as the cache sees it. */
export class WebRequest implements LlmRequest {
  readonly protocol: Protocol;
  readonly path: string;
  readonly query: string;
  readonly apiEndpoint: string | null;
  /** A fetch handler's request has no id. */
  readonly requestId = null;
  /** False: other code in this process may read the response, and would not decode it. */
  readonly takesGzip = false;
  readonly forwardedUrl: string;
  readonly account: ClientAccount;
  readonly left: AbortSignal;
  readonly whenOver: LlmRequest['whenOver'];
  readonly #request: Request;
  readonly #parts: WebExchangeParts;
  #read: ReadBody | null = null;
  readonly #host: string;
  #headers: Readonly<Record<string, string>> | null = null;

  constructor(request: Request, parts: WebExchangeParts, whenOver: LlmRequest['whenOver']) {
    const { host, pathname, search } = new URL(request.url);
    this.#host = host;
    this.whenOver = whenOver;
    this.#request = request;
    this.#parts = parts;
    this.protocol = parts.protocol;
    this.path = pathname;
    this.query = search;
    this.forwardedUrl = `${pathname}${search}`;
    this.apiEndpoint = parts.namespace;
    // A fetch handler does not know the connection.
    this.account = new ClientAccount(parts.budget, [this, ...clientsOf(this)]);
    // On some platforms a request has no signal.
    const signal = request.signal as AbortSignal | null | undefined;
    this.left = signal ?? new AbortController().signal;
  }

  get identity(): Identity {
    return this.#parts.identity();
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }

  get headers(): Readonly<Record<string, string>> {
    return (this.#headers ??= this.#allHeaders());
  }

  get ownHeaders(): readonly string[] {
    return Object.entries(this.headers).flat();
  }

  /** Adds the URL's host, because some platforms set no `Host` header. */
  #allHeaders(): Record<string, string> {
    const headers = Object.fromEntries(this.#request.headers);
    const { host: sent } = headers;
    const host = sent === undefined || sent === this.#host ? this.#host : `${this.#host}, ${sent}`;
    return { ...headers, host };
  }

  async body(maxBytes: number): Promise<RequestBody | BodyReason> {
    this.#read ??= await readBody(this.#request, maxBytes, this.account);
    const { body } = this.#read;
    if (typeof body === 'string') return body;
    return body.length > maxBytes ? 'request-too-large' : body.within(maxBytes);
  }

  /**
   * Returns the request for the handler, with an unread body: `asked` or, if that is null, the
   * client's. `ended` replaces the request's signal, so that the handler learns when no client wants
   * the answer, rather than when this client leaves.
   */
  forwarded(ended: AbortSignal | null, asked: Uint8Array | null = null): Request {
    const again = asked === null ? (this.#read?.again ?? null) : new Uint8Array(asked);
    if (again === null && ended === null) return this.#request;
    // Some platforms' types do not have `duplex` yet.
    const init: RequestInit & { readonly duplex: 'half' } = {
      duplex: 'half',
      ...(again === null ? {} : { body: again }),
      ...(ended === null ? {} : { signal: ended }),
      ...(asked === null ? {} : { headers: headersFor(asked, this.#request.headers) }),
    };
    return new Request(this.#request, init);
  }

  /** Releases the body. */
  release(): void {
    this.#read?.release();
    this.#read = null;
  }
}

/** The client's headers, adapted to another body without a content coding. */
function headersFor(body: Uint8Array, clients: Headers): Headers {
  const headers = new Headers(clients);
  headers.delete('content-encoding');
  if (headers.has('content-length')) headers.set('content-length', String(body.length));
  return headers;
}
