import type { FetchSettings } from '../../../schemas/fetch.ts';
import { type Decision, isServed } from '../../llm-cache/decision.ts';
import { deliver } from '../../llm-cache/deliver.ts';
import type { Delivery } from '../../llm-cache/delivery.ts';
import { Engine } from '../../llm-cache/engine.ts';
import { mayBeBehind } from '../../llm-cache/flight.ts';
import { Flights } from '../../llm-cache/flights.ts';
import { CacheStats } from '../../llm-cache/stats.ts';
import { MapStore } from '../../llm-cache/stores/map.ts';
import type { EntryStore } from '../../llm-cache/stores/store.ts';
import type { Timings } from '../../llm-cache/timings.ts';
import { answerCost, type StoredAnswer } from '../../llm-usage/answer-cost.ts';
import { PriceList } from '../../llm-usage/price-list.ts';
import { type Arrival, Recorder } from '../../llm-usage/recorder.ts';
import { AnswerReader } from '../../shared/answer-reader.ts';
import { type ByteBudget, budgetsOf } from '../../shared/bytes/budget.ts';
import { applicationIdentity, type Identity } from '../../shared/identity/identity.ts';
import type { Digest } from '../../shared/exchange.ts';
import { FaultLog } from '../../shared/faults.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import { type BodyFacts, RequestBody } from '../../shared/request-body.ts';
import { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import { type Answered, WebClient } from './client.ts';
import { webDigest } from './digest.ts';
import { WebExchange } from './exchange.ts';
import { GuardedStore } from './guarded-store.ts';
import { type LlmCacheOptions, readOptions, requireHandler } from './options.ts';
import { type WaitUntil, waitUntilOf } from './wait.ts';

/** A handler as `Deno.serve`, Hono, Bun and workers call it. */
export type FetchHandler<Rest extends readonly unknown[]> = (
  request: Request,
  ...rest: Rest
) => Response | Promise<Response>;

/** A fetch handler has no metrics. */
const timings: Timings = { lookup() {}, store() {}, firstByte() {} };

/** Looks `Date.now` up at each call, because a test may replace it. */
const now = () => Date.now();

/** A handler with the cache in front of it. */
export class CachedHandler<Rest extends readonly unknown[]> {
  readonly #handler: FetchHandler<Rest>;
  readonly #options: LlmCacheOptions<Rest>;
  readonly #settings: FetchSettings;
  readonly #prices: PriceList;
  readonly #store: EntryStore;
  readonly #engine: Engine;
  readonly #recorder: Recorder | null;
  readonly #budget: ByteBudget;
  readonly #reserve: ByteBudget;
  readonly #faults = new FaultLog(console);
  readonly #stats = new CacheStats();

  constructor(handler: FetchHandler<Rest>, options: LlmCacheOptions<Rest>) {
    requireHandler(handler);
    const settings = readOptions(options);
    const digest = webDigest(settings.scopeSecret ?? null);
    this.#handler = handler;
    // A copy, because the caller may change its object.
    this.#options = { ...options };
    this.#settings = settings;
    this.#prices = new PriceList(settings.prices);
    this.#store =
      options.store === undefined
        ? this.#ownStore(settings)
        : new GuardedStore(options.store, this.#faults);
    const { bodies, reserve } = budgetsOf(settings.bufferedBytes);
    this.#budget = bodies;
    this.#reserve = reserve;
    this.#recorder = this.#openBooks(digest);
    this.#engine = new Engine({
      store: this.#store,
      flights: new Flights(),
      settings: { ...settings, store: 'default', compressHits: 'off' },
      digest,
      // The handler may depend on it.
      forwardsHost: () => true,
      reserve,
      bodies: new SharedBodies(bodies),
      timings,
      faults: this.#faults,
      now,
    });
  }

  /** Answers a request of `protocol`. Rejects with what the handler throws. */
  async answer(request: Request, rest: Rest, protocol: Protocol): Promise<Response> {
    const arrival = this.#recorder?.arrive();
    const exchange = new WebExchange(request, {
      protocol,
      budget: this.#budget,
      namespace: this.#settings.namespace ?? null,
      identity: await this.#identityOf(request, rest),
    });
    const tally = this.#stats.of('fetch', protocol.name);
    const recorded = arrival && this.#recorded(exchange, arrival, await this.#read(exchange));
    const delivery: Delivery = {
      exchange,
      tally,
      settings: { ...this.#settings, compressHits: 'off' },
      store: this.#store,
      timings,
      startedAt: performance.now(),
      now,
    };
    const client = new WebClient({
      exchange,
      tally,
      faults: this.#faults,
      maxBehind: mayBeBehind(this.#settings.maxResponseBytes),
      unshared: this.#unshared(exchange),
      handle: async (forwarded) => this.#handler(forwarded, ...rest),
    });
    const answer = async (decision: Decision): Promise<Response> => {
      const pending = recorded === undefined ? [] : [recorded];
      if ('settled' in decision) pending.push(decision.settled);
      if (pending.length > 0) void this.#wait(Promise.all(pending), rest);
      return deliver<Answered>(decision, delivery, client);
    };
    const decision = await this.#engine.decide(exchange.request, tally);
    try {
      return await answer(decision);
    } catch (error) {
      if (!isServed(decision)) {
        // Nothing else releases what is held for the request.
        exchange.over();
        throw error;
      }
      this.#faults.report('llm-cache: an answer could not be delivered', error);
      exchange.cacheType = null;
      exchange.answer = null;
      return answer(await this.#engine.decideAgain(exchange.request, tally));
    }
  }

  #openBooks(digest: Digest): Recorder | null {
    const { record } = this.#options;
    if (record === undefined) return null;
    const { provider = null } = this.#settings;
    const parts = { record, provider, digest, faults: this.#faults };
    const defer = (step: () => void) => step();
    return new Recorder({ ...parts, prices: this.#prices, defer });
  }

  #ownStore({ maxBytes, eviction }: FetchSettings): MapStore {
    const costOf = (answer: StoredAnswer) => answerCost(answer, this.#prices);
    return new MapStore({ maxBytes, eviction, costOf, now });
  }

  /** Resolves when the record of the exchange has been taken. */
  #recorded(exchange: WebExchange, arrival: Arrival, read: BodyFacts | null): Promise<void> {
    return new Promise((resolve) => {
      exchange.whenOver(() => this.#recorder?.record(exchange, arrival, read, () => resolve()));
    });
  }

  /** What the usage record needs of the body; null if the body could not be buffered. */
  async #read({ request }: WebExchange): Promise<BodyFacts | null> {
    if (this.#recorder === null) return null;
    const body = await request.body(this.#settings.maxRequestBytes);
    return body instanceof RequestBody ? body.facts(request) : null;
  }

  /** Creates a reader for an answer that no flight reads; null if there are no usage records. */
  #unshared({ request }: WebExchange): AnswerReader | null {
    if (this.#recorder === null) return null;
    const { maxResponseBytes: maxBytes } = this.#settings;
    return new AnswerReader(request.protocol, {
      keep: false,
      maxBytes,
      budget: request.account,
      reserve: this.#reserve,
    });
  }

  async #identityOf(request: Request, rest: Rest): Promise<() => Identity> {
    const { consumer } = this.#options;
    if (consumer === undefined) return () => 'none';
    try {
      // Computed once, so that the consumer cannot change before the answer is stored.
      const identity = applicationIdentity(await consumer(request, ...rest));
      return () => identity;
    } catch (error) {
      return () => {
        throw error;
      };
    }
  }

  /** Asks the platform to wait. If it does not, a record or an entry may be lost, but no answer. */
  async #wait(promise: Promise<unknown>, rest: Rest): Promise<void> {
    try {
      const wait: WaitUntil | null = this.#options.waitUntil ?? waitUntilOf(rest);
      await wait?.(promise);
    } catch (error) {
      this.#faults.report('llm-cache: the platform does not wait', error);
    }
  }
}
