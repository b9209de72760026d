import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { PluginSettings } from '../../schemas/plugin.ts';
import { validate } from '../../schemas/validate.ts';
import { ConsumerNames } from '../admin/consumers.ts';
import type { CachePipeline, ExplainServices } from '../admin/explain.ts';
import type { AdminHosts } from '../admin/guard.ts';
import { AdminError } from '../admin/http.ts';
import type { AdminServices } from '../admin/services.ts';
import type { Configuration } from './configuration.ts';
import { Flights } from '../llm-cache/flights.ts';
import { RecentRequests } from './node/recent-requests.ts';
import { BudgetWatch } from '../llm-usage/budget-watch.ts';
import type { LlmCacheServices } from './node/cache-middleware.ts';
import { CacheStats } from '../llm-cache/stats.ts';
import { StoreRegistry } from '../llm-cache/stores/registry.ts';
import type { LlmUsageServices } from './node/usage-middleware.ts';
import { answerCost, type StoredAnswer } from '../llm-usage/answer-cost.ts';
import type { Ledger } from '../llm-usage/ledger.ts';
import { LedgerRegistry } from '../llm-usage/ledgers/registry.ts';
import { PriceList } from '../llm-usage/price-list.ts';
import { PrometheusSink } from '../llm-usage/sinks/prometheus.ts';
import { SinkRegistry } from '../llm-usage/sinks/registry.ts';
import { budgetMetrics } from '../admin/budget-metrics.ts';
import { Metrics } from '../admin/metrics.ts';
import { nextPolicy, type Pipeline } from './pipelines.ts';
import { budgetsOf } from '../shared/bytes/budget.ts';
import type { Digest } from '../shared/exchange.ts';
import { FaultLog } from '../shared/faults.ts';
import type { Log } from '../shared/log.ts';
import { nodeDigest } from './node/digest.ts';
import { inTurn, runTurn } from './node/turn.ts';
import { SharedBodies } from '../shared/bytes/shared-bodies.ts';

/** The services of both policies. */
export type Services = LlmCacheServices & LlmUsageServices;

/** A configuration, and the services made from it. */
interface Configured extends Configuration {
  readonly services: Services;
  readonly ledger: Ledger;
}

/** What the services are made from. */
interface Parts {
  readonly settings: PluginSettings;
  readonly pipelines: readonly Pipeline[];
  readonly ledger: Ledger;
  readonly prices: PriceList;
  readonly digest: Digest;
}

/** How long records that wait for the end of their answers may delay the end of the process. */
const patienceMs = 1000;
/** How long the usage records, and the files of entries, may delay the end of the process. */
const booksPatienceMs = 3000;
const filesPatienceMs = 10_000;

/** Everything in this process that outlives a reload of the configuration. */
export class Runtime {
  readonly faults: FaultLog;
  readonly #log: Log;
  readonly #memory = budgetsOf(0);
  readonly #bodies = new SharedBodies(this.#memory.bodies);
  readonly #stats = new CacheStats();
  readonly #requests = new RecentRequests();
  readonly #stores = new StoreRegistry();
  readonly #flights = new Map<string, Flights>();
  readonly #sinks: SinkRegistry;
  readonly #ledgers: LedgerRegistry;
  readonly #metrics: Metrics;
  readonly #consumers: ConsumerNames;
  readonly #budgets: BudgetWatch;
  readonly #pending = new Set<Promise<void>>();
  #configured: Configured | null = null;

  constructor(log: Log) {
    this.#log = log;
    this.faults = new FaultLog(log);
    this.#metrics = new Metrics({
      stats: this.#stats,
      stores: () => this.#stores.stats(),
      sinks: () => this.#sinks.stats(),
      joiners: () => this.#joiners(),
      bufferedBytes: () => this.#bufferedBytes,
    });
    this.#sinks = new SinkRegistry({
      log,
      faults: this.faults,
      prometheus: new PrometheusSink(this.#metrics.registry),
      redisOf: (store) => this.#stores.redisOf(store),
    });
    this.#ledgers = new LedgerRegistry(log);
    this.#budgets = new BudgetWatch({ log, faults: this.faults });
    budgetMetrics(this.#metrics.registry, () => this.#budgets.states());
    this.#consumers = new ConsumerNames({
      directory: () => this.#configured?.consumers ?? null,
      faults: this.faults,
    });
  }

  /** Applies a configuration. Pipelines that were built before keep their services. */
  configure(configuration: Configuration): void {
    const { settings, secret, gatewayRedis, pipelines } = configuration;
    const { bodies, reserve } = budgetsOf(settings.limits.bufferedBytes);
    this.#memory.bodies.max = bodies.max;
    this.#memory.reserve.max = reserve.max;
    const prices = new PriceList(settings.usage.prices);
    const costOf = (answer: StoredAnswer) => answerCost(answer, prices);
    const shared = { gatewayRedis, secret, bodies: this.#bodies, costOf, log: this.#log };
    this.#stores.configure(settings.stores, shared);
    for (const { name, steps } of pipelines) {
      if (steps.some(({ policy }) => policy === 'llm-cache')) this.#stats.register(name);
    }
    this.#requests.configure(settings.admin.recentRequests);
    const ledger = this.#openLedger(settings);
    this.#budgets.configure(settings.usage.budgets, {
      ledger,
      idOf: (consumer) => this.#consumers.find(consumer),
    });
    const parts = { settings, pipelines, ledger, prices, digest: nodeDigest(secret) };
    const services = this.#services(parts);
    this.#configured = { ...configuration, services, ledger };
  }

  /** The services of both policies, for pipelines that are built now. */
  services(): Services {
    if (this.#configured === null) throw new Error('llm-cache: the plugin was not configured');
    return this.#configured.services;
  }

  /** The host names under which the admin API answers. */
  adminHosts(): AdminHosts {
    return this.#configured?.adminHosts ?? { names: [], setting: 'admin.hosts' };
  }

  /** What the admin API shows and controls. Throws an AdminError (503) without a configuration. */
  admin(): AdminServices {
    const configured = this.#configured;
    if (configured === null) throw new AdminError(503, 'the plugin is not configured');
    return {
      stats: this.#stats,
      stores: this.#stores.stats(),
      entryStores: this.#stores.entryStores(),
      sealOf: (store) => this.#stores.sealOf(store),
      sinks: this.#sinks.stats(),
      joiners: this.#joiners(),
      bufferedBytes: this.#bufferedBytes,
      ledger: configured.ledger,
      tryout: configured.tryout,
      consumers: this.#consumers,
      requests: this.#requests,
      budgets: () => this.#budgets.states(),
      storeNamed: (name) => (this.#stores.names.includes(name) ? this.#stores.open(name) : null),
      prices: configured.services.prices,
      explain: explainServices(configured),
      metrics: () => this.#metrics.text(),
    };
  }

  /** Lets delivered answers be read to their end, for a limited time, and then flushes. */
  async finish(): Promise<void> {
    await within(Promise.all(this.#pending), patienceMs);
    await this.flush();
  }

  /** Records, flushes and saves, each for a limited time, before the process ends. */
  async end(): Promise<void> {
    await Promise.all([
      within(this.finish(), booksPatienceMs),
      within(this.#stores.save(), filesPatienceMs),
    ]);
  }

  /** Resolves when every usage record so far has been written, or dropped with a line in the log. */
  async flush(): Promise<void> {
    runTurn();
    await Promise.all([this.#sinks.flush(), this.#ledgers.flush()]);
  }

  /** Flushes in the `exit` event of the process, when nothing asynchronous runs any more. */
  flushSync(): void {
    runTurn();
    this.#sinks.flushSync();
    this.#ledgers.flushSync();
  }

  /** Flushes, saves persistent stores, and releases every connection, file and entry. */
  async close(): Promise<void> {
    this.#budgets.close();
    await this.finish();
    await this.#stores.save();
    await Promise.all([this.#sinks.close(), this.#ledgers.close()]);
    // Sinks and ledgers may use the connections of stores.
    await this.#stores.close();
  }

  get #bufferedBytes(): number {
    const { bodies, reserve } = this.#memory;
    return bodies.held + reserve.held;
  }

  #openLedger({ usage }: PluginSettings): Ledger {
    return this.#ledgers.open(usage.ledger, this.#stores.placeOf(usage.ledger.store));
  }

  #services({ settings, pipelines, ledger, prices, digest }: Parts): Services {
    const names = new Map(
      pipelines.flatMap(({ name, apiEndpoints }) => apiEndpoints.map((one) => [one, name])),
    );
    const pipelineOf = (apiEndpoint: string | null) => names.get(apiEndpoint ?? '') ?? 'unknown';
    const nextOf = (policy: string) =>
      new Map(pipelines.map((pipeline) => [pipeline.name, nextPolicy(pipeline, policy)]));
    const next = { 'llm-usage': nextOf('llm-usage'), 'llm-cache': nextOf('llm-cache') };
    const hostless = new Set(
      pipelines.filter((pipeline) => !pipeline.forwardsHost).map(({ name }) => name),
    );
    const toSinks = this.#sinks.open(settings.usage.sinks, [ledger]);
    return {
      store: (name) => this.#stores.open(name),
      flights: (store) => this.#flightsOf(store),
      pipelineOf,
      forwardsHost: (apiEndpoint) => !hostless.has(pipelineOf(apiEndpoint)),
      nextPolicy: (policy, apiEndpoint) => next[policy].get(pipelineOf(apiEndpoint)) ?? null,
      record: (record) => {
        toSinks(record);
        this.#budgets.spent(record);
      },
      prices,
      digest,
      budget: this.#memory.bodies,
      reserve: this.#memory.reserve,
      bodies: this.#bodies,
      stats: this.#stats,
      requests: this.#requests,
      timings: this.#metrics,
      faults: this.faults,
      defer: inTurn,
      pending: (record) => {
        this.#pending.add(record);
        void record.finally(() => this.#pending.delete(record));
      },
    };
  }

  #flightsOf(store: string): Flights {
    const flights = this.#flights.get(store) ?? new Flights();
    this.#flights.set(store, flights);
    return flights;
  }

  #joiners(): number {
    return [...this.#flights.values()].reduce((sum, { joiners }) => sum + joiners, 0);
  }
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  const patience = new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
  await Promise.race([work, patience]);
}

function explainServices({ services, pipelines, identify }: Configured): ExplainServices {
  return {
    apiEndpoints: [...new Set(pipelines.flatMap(({ apiEndpoints }) => apiEndpoints))],
    // If several pipelines serve one apiEndpoint, the gateway uses the last.
    pipelineAt: (apiEndpoint) => {
      const pipeline = pipelines.findLast((one) => one.apiEndpoints.includes(apiEndpoint));
      return pipeline && cachePipeline(pipeline);
    },
    parts: (settings) => ({
      store: services.store(settings.store),
      flights: services.flights(settings.store),
      settings,
      digest: services.digest,
      forwardsHost: (apiEndpoint) => services.forwardsHost(apiEndpoint),
      now: Date.now(),
    }),
    identify,
  };
}

function cachePipeline({ name, steps }: Pipeline): CachePipeline {
  const own = steps.filter(({ policy }) => policy === 'llm-cache');
  return {
    name,
    steps: own.map(({ condition, action }) => ({
      condition,
      settings: validate<LlmCacheSettings>(llmCacheSchema, action, 'llm-cache'),
    })),
  };
}
