import type { ServerResponse } from 'node:http';
import type { LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import type { ByteAccount, ByteBudget } from '../../shared/bytes/budget.ts';
import type { Digest } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { AppRequest, HostRequest, Middleware } from './host-request.ts';
import { exchangeOf } from './exchange.ts';
import { breakOff } from './response-end.ts';
import { type Decision, isServed } from '../../llm-cache/decision.ts';
import { deliver, type Delivery } from './deliver.ts';
import type { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import { Engine } from '../../llm-cache/engine.ts';
import type { Flights } from '../../llm-cache/flights.ts';
import type { CacheStats } from '../../llm-cache/stats.ts';
import type { Store } from '../../llm-cache/stores/store.ts';
import type { Timings } from '../../llm-cache/timings.ts';

/** What the policy needs of the plugin, as it stands when a pipeline is built. */
export interface LlmCacheServices {
  /** Throws a ConfigurationError where no store has the name. */
  store(name: string): Store;
  /** The calls under way whose answers go to that store. */
  flights(store: string): Flights;
  /** The pipeline that serves an apiEndpoint. */
  pipelineOf(apiEndpoint: string | null): string;
  /** Whether the upstream behind an apiEndpoint gets the `Host` that the client sent. */
  forwardsHost(apiEndpoint: string | null): boolean;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  readonly reserve: ByteAccount;
  readonly bodies: SharedBodies;
  readonly stats: CacheStats;
  readonly timings: Timings;
  readonly faults: FaultLog;
}

/** The cache as a step of whatever carries requests. Throws a ConfigurationError for a store that there is not. */
export function cacheMiddleware<R extends AppRequest>(
  settings: LlmCacheSettings,
  services: LlmCacheServices,
  hostRequestOf: (req: R, res: ServerResponse) => HostRequest,
): Middleware<R> {
  const store = services.store(settings.store);
  const flights = services.flights(settings.store);
  const engine = new Engine({ ...services, store, flights, settings, now: Date.now });
  const { timings, faults } = services;
  const used = store.used.bind(store);

  return (req, res, next) => {
    const exchange = exchangeOf(req, res, services, hostRequestOf);
    if (exchange === null) return next();
    if (!exchange.claim('llm-cache')) {
      exchange.passOn();
      return next();
    }
    const startedAt = performance.now();
    const { apiEndpoint, protocol } = exchange.request;
    const tally = services.stats.of(services.pipelineOf(apiEndpoint), protocol.name);
    const delivery = { exchange, res, tally, startedAt, settings, timings, faults, used };
    const act = (decision: Decision): void => {
      const result = attempt(decision, delivery);
      if (result === 'goes-on') return next();
      if (result === 'undelivered') whenDecided(engine.decideAgain(exchange.request, tally));
    };
    const failed = (error: unknown) => {
      faults.report('llm-cache: an answer could not be delivered', error);
      breakOff(res);
    };
    /** At once where the decision is there. */
    const whenDecided = (decision: Decision | Promise<Decision>): void => {
      if (decision instanceof Promise) {
        decision.then(act).catch(failed);
        return;
      }
      try {
        act(decision);
      } catch (error) {
        failed(error);
      }
    };
    whenDecided(engine.decide(exchange.request, tally));
  };
}

/** Does what was decided. An answer that fails before its head is `undelivered`, and the request has none yet. */
function attempt(decision: Decision, delivery: Delivery): 'answered' | 'goes-on' | 'undelivered' {
  const { exchange, res, settings, faults } = delivery;
  const key = 'key' in decision ? decision.key : null;
  if (settings.debugHeaders && key !== null && !res.headersSent) {
    res.setHeader('X-Cache-Key', key);
  }
  try {
    return deliver(decision, delivery) ? 'answered' : 'goes-on';
  } catch (error) {
    if (res.headersSent || decision.kind === 'unavailable') throw error;
    faults.report('llm-cache: an answer could not be delivered', error);
    exchange.served = null;
    if (isServed(decision)) return 'undelivered';
    // Those who wait for its answer call by themselves.
    if ('fallback' in decision) decision.flight?.abort('aborted');
    return 'goes-on';
  }
}
