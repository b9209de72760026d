import type { ServerResponse } from 'node:http';
import { ConfigurationError } from '../../../schemas/configuration-error.ts';
import { contradictionIn, type LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import { type Decision, isServed } from '../../llm-cache/decision.ts';
import { deliver, letGo } from '../../llm-cache/deliver.ts';
import type { Delivery } from '../../llm-cache/delivery.ts';
import { Engine } from '../../llm-cache/engine.ts';
import { mayBeBehind } from '../../llm-cache/flight.ts';
import type { Flights } from '../../llm-cache/flights.ts';
import type { CacheStats } from '../../llm-cache/stats.ts';
import type { Store } from '../../llm-cache/stores/store.ts';
import type { Timings } from '../../llm-cache/timings.ts';
import type { ByteAccount, ByteBudget } from '../../shared/bytes/budget.ts';
import type { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import type { Digest } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { AppRequest, Middleware } from './app-request.ts';
import { NodeClient } from './client.ts';
import { type ExchangeMaker, exchangeOf, type NodeExchange } from './exchange.ts';
import { CacheDiary } from './cache-diary.ts';
import type { RecentRequests } from './recent-requests.ts';
import { breakOff } from './response-end.ts';
import { answerTogether } from './turn.ts';

/** The plugin's services that the policy uses, as they are when a pipeline is built. */
export interface LlmCacheServices {
  /** Throws a ConfigurationError if no store has the name. */
  store(name: string): Store;
  /** The calls in progress whose answers go to the store. */
  flights(store: string): Flights;
  /** The name of the pipeline that serves an apiEndpoint. */
  pipelineOf(apiEndpoint: string | null): string;
  /** The policy to which every request that is passed on goes next; null if it varies. */
  nextPolicy(policy: 'llm-cache', apiEndpoint: string | null): string | null;
  /** Whether the upstream of an apiEndpoint receives the client's `Host`. */
  forwardsHost(apiEndpoint: string | null): boolean;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  readonly reserve: ByteAccount;
  readonly bodies: SharedBodies;
  readonly stats: CacheStats;
  readonly requests: RecentRequests;
  readonly timings: Timings;
  readonly faults: FaultLog;
}

/** What one `llm-cache` step of a pipeline uses for all its requests. */
interface Step {
  readonly engine: Engine;
  readonly store: Store;
  readonly settings: LlmCacheSettings;
  readonly services: LlmCacheServices;
  readonly maxBehind: number;
}

/**
 * The middleware of `llm-cache`: it answers requests from the cache. Throws a ConfigurationError if
 * `settings` name an unknown store or contradict each other.
 */
export function cacheMiddleware<R extends AppRequest>(
  settings: LlmCacheSettings,
  services: LlmCacheServices,
  maker: ExchangeMaker<R>,
): Middleware<R> {
  const contradiction = contradictionIn(settings);
  if (contradiction !== null) throw new ConfigurationError(`llm-cache: ${contradiction}`);
  const store = services.store(settings.store);
  const flights = services.flights(settings.store);
  const engine = new Engine({ ...services, store, flights, settings, now: Date.now });
  const maxBehind = mayBeBehind(settings.maxResponseBytes);
  const step: Step = { engine, store, settings, services, maxBehind };

  return (req, res, next) => {
    const exchange = exchangeOf(req, res, services, maker);
    if (exchange === null) return next();
    if (exchange === 'over') return;
    if (exchange.claim('llm-cache')) return new Turn(step, exchange, res, next).run();
    exchange.passOn(false);
    return next();
  };
}

/** One request on its way through the cache. */
class Turn {
  readonly #step: Step;
  readonly #exchange: NodeExchange;
  readonly #res: ServerResponse;
  readonly #next: () => void;
  readonly #delivery: Delivery;
  readonly #client: NodeClient;
  readonly #diary: CacheDiary | null;

  constructor(step: Step, exchange: NodeExchange, res: ServerResponse, next: () => void) {
    const { services, settings, store, maxBehind } = step;
    const { stats, timings, faults } = services;
    const { apiEndpoint, protocol } = exchange;
    const startedAt = performance.now();
    const counts = stats.of(services.pipelineOf(apiEndpoint), protocol.name);
    this.#diary = CacheDiary.open({ exchange, counts, startedAt }, services);
    const tally = this.#diary ?? counts;
    this.#step = step;
    this.#exchange = exchange;
    this.#res = res;
    this.#next = next;
    this.#delivery = { exchange, tally, settings, store, timings, startedAt, now: Date.now };
    const isProxyNext = services.nextPolicy('llm-cache', apiEndpoint) === 'proxy';
    this.#client = new NodeClient({ exchange, res, tally, faults, isProxyNext, maxBehind });
  }

  run(): void {
    this.#whenDecided(this.#step.engine.decide(this.#exchange, this.#delivery.tally));
  }

  #whenDecided(decision: Decision | Promise<Decision>): void {
    if (!(decision instanceof Promise)) return this.#actTogether(decision);
    decision.then((made) => this.#actTogether(made)).catch((error: unknown) => this.#failed(error));
  }

  #actTogether(decision: Decision): void {
    answerTogether(() => {
      try {
        this.#act(decision);
      } catch (error) {
        this.#failed(error);
      }
    });
  }

  #act(decision: Decision): void {
    const { tally } = this.#delivery;
    this.#diary?.decided(decision, this.#step.settings.store);
    // The client left meanwhile, or another handler answered.
    if (this.#exchange.isGone || this.#res.headersSent) return letGo(decision, tally);
    let isAnswered: boolean;
    try {
      isAnswered = deliver(decision, this.#delivery, this.#client);
    } catch (error) {
      return this.#undelivered(decision, error);
    }
    if (isAnswered) return;
    this.#next();
    this.#exchange.nextReturned();
  }

  /** If the head is not out, an answer that cannot be delivered becomes a miss. */
  #undelivered(decision: Decision, error: unknown): void {
    if (this.#res.headersSent || decision.kind === 'unavailable') throw error;
    this.#report(error);
    this.#exchange.cacheType = null;
    this.#exchange.answer = null;
    if (isServed(decision)) {
      const { engine } = this.#step;
      return this.#whenDecided(engine.decideAgain(this.#exchange, this.#delivery.tally));
    }
    // Requests that wait for the answer of this flight now make calls of their own.
    if ('fallback' in decision) decision.flight?.abort('aborted');
    this.#next();
    this.#exchange.nextReturned();
  }

  #failed(error: unknown): void {
    this.#report(error);
    breakOff(this.#res);
  }

  #report(error: unknown): void {
    this.#step.services.faults.report('llm-cache: an answer could not be delivered', error);
  }
}
