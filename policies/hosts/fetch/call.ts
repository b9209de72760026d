import { clientClosedRequest } from '../../shared/exchange.ts';
import { contentCodings } from '../../shared/format.ts';
import { decoding, isText } from './decode.ts';
import { BodyPump } from './body-pump.ts';
import { appendCacheStatus, cacheStatus } from '../../llm-cache/cache-status.ts';
import { type Forward, outcomeOf } from '../../llm-cache/decision.ts';
import type { CachedResponse } from '../../llm-cache/entry.ts';
import { staleReply } from '../../llm-cache/replies.ts';
import { isFailing } from '../../llm-cache/response-rules.ts';
import type { OutcomeName } from '../../llm-cache/stats.ts';
import type { Delivery } from './delivery.ts';
import { gone, replay, served } from './replay.ts';

const switchingProtocols = 101;

/** A request that goes on to its handler, and the answer on its way back. */
export class Call {
  readonly #decision: Forward;
  readonly #delivery: Delivery;
  /** Tells the handler that nobody wants its answer any more. */
  readonly #ended = new AbortController();
  #outcome: OutcomeName;
  #pump: BodyPump | null = null;
  #headPassed = false;
  #left = false;

  constructor(decision: Forward, delivery: Delivery) {
    this.#decision = decision;
    this.#delivery = delivery;
    this.#outcome = outcomeOf(decision);
  }

  /** Rejects with what the handler throws, where nothing stands in for it. */
  async response(): Promise<Response> {
    const { exchange, handle } = this.#delivery;
    const { left } = exchange.request;
    this.#takeOff();
    left.addEventListener('abort', () => this.#leave(), { once: true });
    if (left.aborted) this.#leave();
    if (this.#isOver) return gone(this.#delivery);
    try {
      const ended = this.#decision.flight === null ? null : this.#ended.signal;
      return await this.#answer(await handle(exchange.request.forwarded(ended)));
    } catch (error) {
      return this.#failed(error);
    }
  }

  get #isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Ties the flight to this call. */
  #takeOff(): void {
    const { flight, fallback, reason } = this.#decision;
    const { exchange, watch } = this.#delivery;
    exchange.answer = (flight ?? watch)?.answer ?? null;
    if (flight === null) return;
    flight.onDeserted = () => this.#abandon();
    flight.onCompany = () => void this.#pump?.drive();
    if (fallback === null) return;
    const { tally } = this.#delivery;
    void flight.finished.then(() => tally.count(this.#outcome, reason));
  }

  /** What the client gets of the handler's answer. */
  async #answer(response: Response): Promise<Response> {
    const { fallback } = this.#decision;
    const { headers, status } = response;
    this.#delivery.exchange.providerStatus = status;
    // Another protocol takes over: there is no answer that could be marked, or read.
    if (status === switchingProtocols) return this.#untouched(response);
    const mayStandIn = fallback !== null && !this.#left;
    if (mayStandIn && isFailing(status)) {
      response.body?.cancel().catch(() => {});
      return this.#stale(fallback, status);
    }
    const coding = headers.get('content-encoding') ?? '';
    const isCoded = contentCodings(coding).length > 0;
    // fetch() leaves the length of a coded body as it was, and has checked it.
    const declared = isCoded ? null : lengthIn(headers);
    const body = response.body ?? emptyBody(status, declared);
    if (body === null) return this.#withoutBody(response);

    const pump = this.#pass(body, declared);
    let isDecoded = false;
    if (mayStandIn || isCoded) {
      try {
        const first = await pump.first();
        isDecoded = isCoded && first !== undefined && isText(first);
      } catch {
        if (fallback !== null && !this.#left) return this.#stale(fallback, null);
      }
    }
    if (this.#isOver) return gone(this.#delivery);
    const marked = this.#marked(response, pump.stream, isDecoded);
    this.#head(response);
    pump.open((observer) => decoding(isDecoded ? '' : coding, observer));
    return marked;
  }

  #withoutBody(response: Response): Response {
    const marked = this.#marked(response, null, false);
    this.#head(response);
    this.#observer?.end();
    this.#delivery.exchange.over();
    return marked;
  }

  #untouched(response: Response): Response {
    this.#delivery.exchange.status = response.status;
    this.#observer?.abort('aborted');
    this.#delivery.exchange.over();
    return response;
  }

  #pass(body: ReadableStream<Uint8Array>, declared: number | null): BodyPump {
    const { flight } = this.#decision;
    const { faults, maxBehind, tally, exchange } = this.#delivery;
    const pump = new BodyPump(body, {
      observer: this.#observer,
      declared,
      faults,
      maxBehind,
      keepsPace: () => flight?.hasCompany ?? false,
      goesOn: () => this.#goesOn(),
      tooSlow: () => tally.countSlowReader(),
      delivered: () => exchange.over(),
    });
    this.#pump = pump;
    if (this.#left) pump.leave();
    return pump;
  }

  get #observer() {
    return this.#decision.flight ?? this.#delivery.watch;
  }

  #head({ status, headers }: Response): void {
    this.#headPassed = true;
    // Who has left before it has got none.
    if (!this.#left) this.#delivery.exchange.status = status;
    this.#observer?.head(status, (name) => headers.get(name) ?? undefined);
  }

  /** The same response, with what the cache did in place of what a cache further up said of itself. */
  #marked(response: Response, body: BodyInit | null, isDecoded: boolean): Response {
    const marked = new Response(body, response);
    const { headers } = marked;
    headers.delete('X-Cache');
    headers.delete('Age');
    const upstreams = headers.get('Cache-Status') ?? undefined;
    headers.set('Cache-Status', appendCacheStatus(upstreams, cacheStatus(this.#decision)));
    if (isDecoded) {
      // fetch() has undone the coding, and left the headers as they were.
      headers.delete('Content-Encoding');
      headers.delete('Content-Length');
    }
    return marked;
  }

  #failed(error: unknown): Response {
    const { fallback } = this.#decision;
    if (this.#isOver) return gone(this.#delivery);
    if (fallback !== null && !this.#left) return this.#stale(fallback, null);
    this.#observer?.abort('aborted');
    this.#delivery.exchange.over();
    throw error;
  }

  #stale(fallback: CachedResponse, status: number | null): Response {
    const { key } = this.#decision;
    const { exchange, store, now } = this.#delivery;
    served(exchange, 'stale', fallback);
    this.#outcome = 'stale';
    if (key !== null) store.used(key, fallback);
    this.#observer?.abort(status === null ? 'aborted' : 'status');
    return replay(staleReply(fallback, status, now()), this.#delivery);
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    if (!this.#headPassed) this.#delivery.exchange.status = clientClosedRequest;
    if (this.#pump !== null) this.#pump.leave();
    else if (!this.#goesOn()) this.#abandon();
  }

  /** Whether the call goes on without its client. */
  #goesOn(): boolean {
    this.#left = true;
    const goesOn = this.#decision.flight?.leaderLeft() ?? false;
    // A flight ends with its body; the handler is told, too.
    if (!goesOn) this.#ended.abort();
    return goesOn;
  }

  /** Nobody wants the answer. */
  #abandon(): void {
    this.#ended.abort();
    if (this.#pump === null) this.#observer?.abort('client-left');
    else this.#pump.abandon();
    this.#delivery.exchange.over();
  }
}

/** The length that the head declares; null where it declares none. */
function lengthIn(headers: Headers): number | null {
  const text = headers.get('content-length');
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

/** A body where the head declares one that the handler has left out; null where there is to be none. */
function emptyBody(status: number, declared: number | null): ReadableStream<Uint8Array> | null {
  const mayHaveBody = status !== 204 && status !== 205 && status !== 304;
  return mayHaveBody && declared !== null && declared > 0 ? new Response('').body : null;
}
