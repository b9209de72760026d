import { llmNoCache } from '../conditions/llm-no-cache.ts';
import { llmRequest } from '../conditions/llm-request.ts';
import {
  checkPipelines,
  checkStores,
  readSettings,
  redisOfGateway,
  scopeSecret,
} from './configuration.ts';
import { Flights } from './llm-cache/flights.ts';
import { type LlmCacheServices, llmCachePolicy } from './llm-cache/index.ts';
import { CacheStats } from './llm-cache/stats.ts';
import { StoreRegistry } from './llm-cache/stores/registry.ts';
import { type LlmUsageServices, llmUsagePolicy } from './llm-usage/index.ts';
import { SinkRegistry } from './llm-usage/sinks/registry.ts';
import { orderWarnings } from './order.ts';
import { type Pipeline, readPipelines } from './pipelines.ts';
import { ByteBudget } from './shared/budget.ts';
import { FaultLog } from './shared/faults.ts';
import type { Log } from './shared/log.ts';
import { nodeDigest } from './shared/node/digest.ts';
import type { PluginContext } from './shared/node/gateway.ts';
import { flushAtExit } from './shared/node/shutdown.ts';

type Services = LlmCacheServices & LlmUsageServices;

/** What outlives every reload of the configuration in this process. */
class Runtime {
  readonly #faults: FaultLog;
  readonly #budget = new ByteBudget(0);
  readonly #stats = new CacheStats();
  readonly #stores = new StoreRegistry();
  readonly #flights = new Map<string, Flights>();
  readonly #sinks: SinkRegistry;
  #services: Services | null = null;

  constructor(log: Log) {
    this.#faults = new FaultLog(log);
    this.#sinks = new SinkRegistry(log, this.#faults);
    flushAtExit(
      () => this.#sinks.flush(),
      () => this.#sinks.flushSync(),
    );
  }

  /** Takes a configuration over. Pipelines that were built before keep the services they have. */
  configure(context: PluginContext, pipelines: readonly Pipeline[]): void {
    const settings = readSettings(context);
    const secret = scopeSecret(settings, context.config.systemConfig);
    checkStores(settings, context.config.systemConfig);
    checkPipelines(pipelines, settings);

    const pipelineNames = new Map(
      pipelines.flatMap(({ name, apiEndpoints }) => apiEndpoints.map((one) => [one, name])),
    );
    this.#budget.max = settings.limits.bufferedBytes;
    const gatewayRedis = redisOfGateway(context.config.systemConfig);
    this.#stores.configure(settings.stores, { gatewayRedis, log: context.logger });
    this.#services = {
      store: (name) => this.#stores.open(name),
      flights: (store) => this.#flightsOf(store),
      pipelineOf: (apiEndpoint) => pipelineNames.get(apiEndpoint ?? '') ?? 'unknown',
      record: this.#sinks.open(settings.usage.sinks),
      digest: nodeDigest(secret),
      budget: this.#budget,
      stats: this.#stats,
      faults: this.#faults,
    };
  }

  #flightsOf(store: string): Flights {
    const flights = this.#flights.get(store) ?? new Flights();
    this.#flights.set(store, flights);
    return flights;
  }

  services(): Services {
    if (this.#services === null) throw new Error('llm-cache: the plugin was not configured');
    return this.#services;
  }
}

let runtime: Runtime | null = null;

/**
 * What the gateway calls at its start and again at every reload of its configuration. A
 * configuration that cannot be used stops the start, or leaves the old one serving.
 */
export function init(context: PluginContext): void {
  const current = (runtime ??= new Runtime(context.logger));
  context.registerPolicy(llmUsagePolicy(() => current.services()));
  context.registerPolicy(llmCachePolicy(() => current.services()));
  context.registerCondition(llmRequest);
  context.registerCondition(llmNoCache);
  try {
    const pipelines = readPipelines(context.config.gatewayConfig);
    current.configure(context, pipelines);
    for (const warning of pipelines.flatMap(orderWarnings)) context.logger.warn(warning);
  } catch (error) {
    // Thrown from here it would only be logged, and the start go on without the plugin.
    context.registerGatewayRoute(() => {
      throw error;
    });
  }
}
