import type { LeaderCall } from '../../llm-cache/flight.ts';
import {
  type ForwardedCall,
  headersOfItsBytes,
  otherCachesHeaders,
} from '../../llm-cache/forwarded-call.ts';
import { clientClosedRequest, type ResponseObserver } from '../../shared/exchange.ts';
import type { ByteAccount } from '../../shared/bytes/budget.ts';
import { Slabs } from '../../shared/bytes/slabs.ts';
import { contentCodings } from '../../shared/format.ts';
import { BodyPump } from './body-pump.ts';
import type { WebClientParts } from './client-parts.ts';
import { decoding, isText } from './decode.ts';
import { goneResponse, wholeResponse } from './responses.ts';

const switchingProtocols = 101;

/** A call of the handler, and its response on the way back to the client. */
export class HandlerCall implements LeaderCall {
  readonly #forwarded: ForwardedCall;
  readonly #parts: WebClientParts;
  readonly #observer: ResponseObserver | null;
  /** Tells the handler that no client wants its answer any more. */
  readonly #ended = new AbortController();
  #pump: BodyPump | null = null;
  #headPassed = false;
  #left = false;

  constructor(forwarded: ForwardedCall, parts: WebClientParts) {
    const { flight } = forwarded;
    this.#forwarded = forwarded;
    this.#parts = parts;
    this.#observer = flight ?? parts.unshared;
    if (flight === null) parts.exchange.answer = parts.unshared;
    else flight.leadBy(this);
    flight?.reader.whenRead(() => {
      const { unreadable } = forwarded;
      if (unreadable !== null) parts.exchange.status = unreadable.status;
    });
  }

  /** Rejects with what the handler throws, unless an expired entry stands in for the answer. */
  async response(): Promise<Response> {
    const { exchange, handle } = this.#parts;
    const { left } = exchange.request;
    left.addEventListener('abort', () => this.#leave(), { once: true });
    if (left.aborted) this.#leave();
    if (this.#isOver) return goneResponse(exchange);
    try {
      const ended = this.#forwarded.flight === null ? null : this.#ended.signal;
      const { asked } = this.#forwarded;
      const answer = await this.#answer(await handle(exchange.request.forwarded(ended, asked)));
      return asked === null ? answer : await this.#completed(answer);
    } catch (error) {
      return this.#failed(error);
    }
  }

  resume(): void {
    void this.#pump?.drive();
  }

  abandon(): void {
    this.#ended.abort();
    if (this.#pump === null) this.#observer?.abort('client-left');
    else this.#pump.abandon();
    this.#parts.exchange.over();
  }

  get #isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  get #mayStandIn(): boolean {
    return this.#forwarded.hasStandIn && !this.#left;
  }

  /** Returns the response for the client. */
  async #answer(response: Response): Promise<Response> {
    const { headers, status } = response;
    this.#parts.exchange.providerStatus = status;
    // The connection switches to another protocol, so there is no answer to mark or read.
    if (status === switchingProtocols) return this.#untouched(response);
    if (this.#mayStandIn && this.#forwarded.replaces(status)) {
      response.body?.cancel().catch(() => {});
      return this.#standIn(status);
    }
    const coding = headers.get('content-encoding') ?? '';
    const isCoded = contentCodings(coding).length > 0;
    // fetch() decodes the body but keeps its coded length, which it has checked.
    const declared = isCoded ? null : lengthIn(headers);
    const body = response.body ?? emptyBody(status, declared);
    if (body === null) return this.#withoutBody(response);

    const pump = this.#pass(body, declared);
    let isDecoded = false;
    if (this.#mayStandIn || isCoded) {
      try {
        const first = await pump.first();
        isDecoded = isCoded && first !== undefined && isText(first);
      } catch {
        if (this.#mayStandIn) return this.#standIn(null);
      }
    }
    if (this.#isOver) return goneResponse(this.#parts.exchange);
    const marked = this.#marked(response, pump.stream, isDecoded);
    this.#head(response);
    pump.open((observer) => decoding(isDecoded ? '' : coding, observer));
    return marked;
  }

  /** The answer to the whole request, of which the handler was asked only a part. */
  async #completed(answer: Response): Promise<Response> {
    if (answer.status !== 200 || answer.body === null) return answer;
    const { exchange, maxBehind } = this.#parts;
    const came = await read(answer.body, maxBehind, exchange.request.account);
    const { whole, unreadable } = this.#forwarded;
    const headers = new Headers(answer.headers);
    for (const name of headersOfItsBytes) headers.delete(name);
    const status = unreadable?.status ?? 200;
    for (const [name, value] of Object.entries(unreadable?.headers ?? {})) headers.set(name, value);
    const body = unreadable?.body ?? whole;
    // The flight read the answer but `read` could not hold it: its coding makes it larger.
    if (body === null && came === null)
      throw new Error('an answer to a part of a request is too large');
    if (body === null) return new Response(came, answer);
    headers.set('Content-Length', String(body.length));
    return new Response(new Uint8Array(body), { status, headers });
  }

  #withoutBody(response: Response): Response {
    const marked = this.#marked(response, null, false);
    this.#head(response);
    this.#observer?.end();
    this.#parts.exchange.over();
    return marked;
  }

  #untouched(response: Response): Response {
    this.#parts.exchange.status = response.status;
    this.#observer?.abort('aborted');
    this.#parts.exchange.over();
    return response;
  }

  #pass(body: ReadableStream<Uint8Array>, declared: number | null): BodyPump {
    const { flight } = this.#forwarded;
    const { faults, maxBehind, tally, exchange } = this.#parts;
    const pump = new BodyPump(body, {
      observer: this.#observer,
      declared,
      faults,
      maxBehind,
      keepsPace: () => flight?.hasCompany ?? false,
      outlivesClient: () => this.#outlivesClient(),
      tooSlow: () => tally.countSlowReader(),
      delivered: () => exchange.over(),
    });
    this.#pump = pump;
    if (this.#left) pump.leave();
    return pump;
  }

  #head({ status, headers }: Response): void {
    this.#headPassed = true;
    // If the client left before, it got no head.
    if (!this.#left) this.#parts.exchange.status = status;
    this.#observer?.head(status, (name) => headers.get(name) ?? undefined);
  }

  /** Adds headers that tell what the cache did, and removes those of a cache further upstream. */
  #marked(response: Response, body: BodyInit | null, isDecoded: boolean): Response {
    const marked = new Response(body, response);
    const { headers } = marked;
    const marks = this.#forwarded.marks(headers.get('Cache-Status') ?? undefined) ?? {};
    for (const name of otherCachesHeaders) headers.delete(name);
    for (const [name, value] of Object.entries(marks)) headers.set(name, value);
    if (isDecoded) {
      // fetch() has decoded the body but kept the headers.
      headers.delete('Content-Encoding');
      headers.delete('Content-Length');
    }
    return marked;
  }

  #failed(error: unknown): Response {
    const { exchange } = this.#parts;
    if (this.#isOver) return goneResponse(exchange);
    if (this.#mayStandIn) return this.#standIn(null);
    this.#observer?.abort('aborted');
    exchange.over();
    throw error;
  }

  #standIn(status: number | null): Response {
    return wholeResponse(this.#forwarded.standIn(status), this.#parts.exchange);
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    if (!this.#headPassed) this.#parts.exchange.status = clientClosedRequest;
    if (this.#pump !== null) this.#pump.leave();
    else if (!this.#outlivesClient()) this.abandon();
  }

  /** The client has left. Returns whether the call continues without it. */
  #outlivesClient(): boolean {
    this.#left = true;
    const outlivesClient = this.#forwarded.flight?.leaderLeft() ?? false;
    // The flight ends with its body. The handler must be told separately.
    if (!outlivesClient) this.#ended.abort();
    return outlivesClient;
  }
}

/** The length that the head declares, in bytes; null if it declares none. */
function lengthIn(headers: Headers): number | null {
  const text = headers.get('content-length');
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

/** An empty body if the head declares a body that the handler left out; null if there must be none. */
function emptyBody(status: number, declared: number | null): ReadableStream<Uint8Array> | null {
  const mayHaveBody = status !== 204 && status !== 205 && status !== 304;
  return mayHaveBody && declared !== null && declared > 0 ? new Response('').body : null;
}

/** Reads a whole body. Returns null if it cannot be held. */
async function read(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  account: ByteAccount,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const slabs = new Slabs(account);
  let isHeld = true;
  try {
    const reader = body.getReader();
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) break;
      const bytes = bytesOf(value);
      isHeld &&= slabs.size + bytes.length <= maxBytes && slabs.add(bytes);
    }
    return isHeld ? slabs.join() : null;
  } finally {
    slabs.release();
  }
}

/** A handler's stream may also contain text. */
function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
}
