import type { Answer } from '../answer.ts';
import type { ByteBudget } from '../budget.ts';
import type { BodyReason, Exchange, LlmRequest, OpenExchange } from '../exchange.ts';
import { findProtocol } from '../protocols/index.ts';
import type { Protocol } from '../protocols/protocol.ts';
import type { RequestBody } from '../request-body.ts';
import { type ReadBody, readBody } from './body.ts';

export interface WebExchangeParts {
  readonly protocol: Protocol;
  readonly budget: ByteBudget;
  readonly namespace: string | null;
  /** Throws where it could not be told who asks. */
  readonly consumer: () => unknown;
}

/** One request to a fetch handler. */
export class WebExchange implements OpenExchange {
  readonly request: WebRequest;
  served: Exchange['served'] = null;
  answer: Promise<Answer> | null = null;
  /** Who waits for its end; null when it is over. */
  #waiting: (() => void)[] | null = [];

  constructor(request: Request, parts: WebExchangeParts) {
    this.request = new WebRequest(request, parts);
  }

  whenOver(then: () => void): void {
    if (this.#waiting === null) then();
    else this.#waiting.push(then);
  }

  /** The client has all that it will get. May be said more than once. */
  over(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    for (const then of waiting ?? []) then();
  }
}

/** By method and path; null for a request that the cache does not serve. */
export function protocolOf(request: Request): Protocol | null {
  return request.method === 'POST' ? findProtocol(new URL(request.url).pathname) : null;
}

export class WebRequest implements LlmRequest {
  readonly protocol: Protocol;
  readonly path: string;
  readonly query: string;
  readonly apiEndpoint: string | null;
  readonly forwardedUrl: string;
  readonly left: AbortSignal;
  readonly #request: Request;
  readonly #parts: WebExchangeParts;
  #read: ReadBody | null = null;

  constructor(request: Request, parts: WebExchangeParts) {
    const { host, pathname, search } = new URL(request.url);
    this.#request = request;
    this.#parts = parts;
    this.protocol = parts.protocol;
    this.path = pathname;
    this.query = search;
    // A handler may go by the host: who asks it of another asks for something else.
    this.forwardedUrl = `//${host}${pathname}${search}`;
    this.apiEndpoint = parts.namespace;
    // Some platforms have none.
    const signal = request.signal as AbortSignal | null | undefined;
    this.left = signal ?? new AbortController().signal;
  }

  get consumer(): unknown {
    return this.#parts.consumer();
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }

  ownHeader(name: string): readonly string[] {
    const value = this.#request.headers.get(name);
    return value === null ? [] : [value];
  }

  async body(maxBytes: number): Promise<RequestBody | BodyReason> {
    this.#read ??= await readBody(this.#request, maxBytes, this.#parts.budget);
    return this.#read.body;
  }

  /**
   * The request for the handler, with a body that nobody has read. With `ended` that is what tells
   * the handler that nobody wants the answer, and not that this client has left.
   */
  forwarded(ended: AbortSignal | null): Request {
    const again = this.#read?.again ?? null;
    if (again === null && ended === null) return this.#request;
    // The type of the platforms that have no `duplex` yet.
    const init: RequestInit & { readonly duplex: 'half' } = {
      duplex: 'half',
      ...(again === null ? {} : { body: again }),
      ...(ended === null ? {} : { signal: ended }),
    };
    return new Request(this.#request, init);
  }

  /** Lets go of the body. */
  release(): void {
    this.#read?.release();
    this.#read = null;
  }
}
