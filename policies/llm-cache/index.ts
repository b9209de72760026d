import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import type { ByteBudget } from '../shared/budget.ts';
import type { Digest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { type NodeExchange, exchangeOf } from '../shared/node/exchange.ts';
import type { Policy } from '../shared/node/gateway.ts';
import { headerText, tap } from '../shared/node/tap.ts';
import { appendCacheStatus, cacheStatus } from './cache-status.ts';
import { type Decision, Engine, type Forward } from './engine.ts';
import { answerUnavailable, replay } from './replay.ts';
import type { CacheStats } from './stats.ts';
import type { Store } from './stores/store.ts';

/** What the policy needs of the plugin, as it stands when a pipeline is built. */
export interface LlmCacheServices {
  /** Throws a ConfigurationError where no store has the name. */
  store(name: string): Store;
  /** The pipeline that serves an apiEndpoint. */
  pipelineOf(apiEndpoint: string | null): string;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  readonly stats: CacheStats;
  readonly faults: FaultLog;
}

/** The `llm-cache` policy: answers identical requests from the cache. */
export function llmCachePolicy(current: () => LlmCacheServices): Policy {
  return {
    name: 'llm-cache',
    schema: llmCacheSchema,
    policy: ({ getCommonAuthCallback: _gateways, ...action }) => {
      const services = current();
      const settings = validate<LlmCacheSettings>(llmCacheSchema, action, 'llm-cache');
      const store = services.store(settings.store);
      const engine = new Engine({ ...services, store, settings, now: Date.now });

      return (req, res, next) => {
        const exchange = exchangeOf(req, res, services.budget);
        if (exchange === null || !exchange.claim('llm-cache')) return next();
        const pipeline = services.pipelineOf(exchange.request.apiEndpoint);
        void engine.decide(exchange, pipeline).then((decision) => {
          if (settings.debugHeaders && 'key' in decision && decision.key !== null) {
            res.setHeader('X-Cache-Key', decision.key);
          }
          if (!answer(decision, exchange, res, services.faults)) next();
        });
      };
    },
  };
}

/** True when the request has its answer, false when it is to go on. */
function answer(
  decision: Decision,
  exchange: NodeExchange,
  res: ServerResponse,
  faults: FaultLog,
): boolean {
  switch (decision.kind) {
    case 'gone':
      return true;
    case 'hit': {
      const { responseId: id, model, usage } = decision.entry;
      exchange.served = { cacheType: 'exact', facts: { id, model, usage } };
      replay(res, decision);
      return true;
    }
    case 'unavailable':
      answerUnavailable(res, decision, exchange.request.protocol);
      return true;
    default:
      mark(res, decision);
      if (decision.capture !== null) tap(res, exchange.lifeline, decision.capture, faults);
      return false;
  }
}

/** Says in the response what the cache did, in place of what a cache further up said of itself. */
function mark(res: ServerResponse, decision: Forward): void {
  onHeaders(res, () => {
    res.removeHeader('X-Cache');
    res.removeHeader('Age');
    const upstreams = headerText(res, 'Cache-Status');
    res.setHeader('Cache-Status', appendCacheStatus(upstreams, cacheStatus(decision)));
  });
}
