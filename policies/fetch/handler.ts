import type { FetchSettings } from '../../schemas/fetch.ts';
import { Engine } from '../llm-cache/engine.ts';
import { mayBeBehind } from '../llm-cache/flight.ts';
import { Flights } from '../llm-cache/flights.ts';
import { CacheStats } from '../llm-cache/stats.ts';
import { MapStore } from '../llm-cache/stores/map.ts';
import type { EntryStore } from '../llm-cache/stores/store.ts';
import { deliver } from '../llm-cache/web/deliver.ts';
import { PriceList } from '../llm-usage/price-list.ts';
import { AnswerWatch } from '../shared/answer-watch.ts';
import { ByteBudget } from '../shared/budget.ts';
import { consumerId, identified } from '../shared/consumer.ts';
import type { Digest } from '../shared/exchange.ts';
import { FaultLog } from '../shared/faults.ts';
import type { Protocol } from '../shared/protocols/protocol.ts';
import { RequestBody } from '../shared/request-body.ts';
import { SharedBodies } from '../shared/shared-bodies.ts';
import { webDigest } from '../shared/web/digest.ts';
import { WebExchange } from '../shared/web/exchange.ts';
import { Books } from './books.ts';
import { GuardedStore } from './guarded-store.ts';
import { type LlmCacheOptions, readOptions, requireHandler } from './options.ts';
import { Visit } from './visit.ts';
import { type WaitUntil, waitUntilOf } from './wait.ts';

/** What answers requests: `Deno.serve`, Hono, Bun, workers. */
export type FetchHandler<Rest extends readonly unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>;

/** Looked up at each call: what stands for the clock may change. */
const now = () => Date.now();

/** A handler with the cache in front of it. */
export class CachedHandler<Rest extends readonly unknown[]> {
  readonly #handler: FetchHandler<Rest>;
  readonly #options: LlmCacheOptions<Rest>;
  readonly #settings: FetchSettings;
  readonly #store: EntryStore;
  readonly #engine: Engine;
  readonly #books: Books | null;
  readonly #digest: Digest;
  readonly #budget: ByteBudget;
  readonly #faults = new FaultLog(console);
  readonly #stats = new CacheStats();

  constructor(handler: FetchHandler<Rest>, options: LlmCacheOptions<Rest>) {
    requireHandler(handler);
    const settings = readOptions(options);
    const digest = webDigest(settings.scopeSecret ?? null);
    this.#handler = handler;
    // Whatever becomes of the caller's own.
    this.#options = { ...options };
    this.#settings = settings;
    this.#store =
      options.store === undefined
        ? new MapStore({ maxBytes: settings.maxBytes, now })
        : new GuardedStore(options.store, this.#faults);
    this.#digest = digest;
    this.#budget = new ByteBudget(settings.bufferedBytes);
    this.#books = this.#openBooks(digest);
    this.#engine = new Engine({
      store: this.#store,
      flights: new Flights(),
      settings: { ...settings, store: 'default' },
      digest,
      budget: this.#budget,
      bodies: new SharedBodies(this.#budget),
      timings: { lookup() {}, store() {}, firstByte() {} },
      faults: this.#faults,
      now,
    });
  }

  /** Answers a request of `protocol`. Rejects with what the handler throws. */
  async answer(request: Request, rest: Rest, protocol: Protocol): Promise<Response> {
    const startedAt = now();
    const exchange = new WebExchange(request, {
      protocol,
      budget: this.#budget,
      namespace: this.#settings.namespace ?? null,
      consumer: await this.#consumerOf(request, rest),
    });
    const tally = this.#stats.of('fetch', protocol.name);
    const visit = new Visit(exchange, this.#books, { startedAt, body: await this.#read(exchange) });
    const decision = await this.#engine.decide(exchange, tally);
    const pending = this.#books === null ? [] : [visit.recorded];
    if ('concluded' in decision) pending.push(decision.concluded);
    if (pending.length > 0) void this.#wait(Promise.all(pending), rest);

    const delivered = () => {
      exchange.over();
      visit.delivered();
    };
    const response = await deliver(decision, {
      exchange,
      tally,
      maxBehind: mayBeBehind(this.#settings.maxResponseBytes),
      store: this.#store,
      faults: this.#faults,
      now,
      watch: this.#watch(exchange),
      handle: async (forwarded) => this.#handler(forwarded, ...rest),
      answered: (status) => visit.answered(status),
      sent: (status) => visit.sent(status),
      delivered,
    }).catch((error: unknown) => {
      delivered();
      throw error;
    });
    if (this.#settings.debugHeaders && 'key' in decision && decision.key !== null) {
      response.headers.set('X-Cache-Key', decision.key);
    }
    return response;
  }

  #openBooks(digest: Digest): Books | null {
    const { record } = this.#options;
    if (record === undefined) return null;
    const { provider = null, prices } = this.#settings;
    const parts = { record, provider, digest, faults: this.#faults };
    return new Books({ ...parts, prices: new PriceList(prices) });
  }

  /** The body, for the books; null where it could not be held. */
  async #read({ request }: WebExchange): Promise<RequestBody | null> {
    if (this.#books === null) return null;
    const body = await request.body(this.#settings.maxRequestBytes);
    return body instanceof RequestBody ? body : null;
  }

  /** Reads an answer that no flight reads, where there are books to write it down. */
  #watch(exchange: WebExchange): AnswerWatch | null {
    if (this.#books === null) return null;
    const { maxResponseBytes: maxBytes } = this.#settings;
    return new AnswerWatch(exchange, { keep: false, maxBytes, budget: this.#budget });
  }

  async #consumerOf(request: Request, rest: Rest): Promise<() => unknown> {
    const { consumer } = this.#options;
    if (consumer === undefined) return () => undefined;
    try {
      const known = identified(await consumer(request, ...rest), crypto.randomUUID());
      // Looked at once: nobody becomes somebody else before the answer is stored.
      const id = consumerId(known, this.#digest);
      return () => (id === null ? undefined : { id });
    } catch (error) {
      return () => {
        throw error;
      };
    }
  }

  /** A platform that will not wait loses a record or an entry, and no answer. */
  async #wait(promise: Promise<unknown>, rest: Rest): Promise<void> {
    try {
      const wait: WaitUntil | null = this.#options.waitUntil ?? waitUntilOf(rest);
      await wait?.(promise);
    } catch (error) {
      this.#faults.report('llm-cache: the platform does not wait', error);
    }
  }
}
