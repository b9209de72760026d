import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { expressCacheSchema, expressUsageSchema } from '../../../schemas/express.ts';
import type { LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import type { LlmUsageSettings } from '../../../schemas/llm-usage.ts';
import {
  pluginSchema,
  type BudgetSettings,
  type LedgerSettings,
  type MemorySettings,
  type RateSettings,
  type RedisSettings,
  type SinkSettings,
  type TieredSettings,
} from '../../../schemas/plugin.ts';
import type { Schema } from '../../../schemas/schema.ts';
import { ConfigurationError, validate } from '../../../schemas/validate.ts';
import { adminHandler } from '../../admin/handler.ts';
import { budgetWarnings } from '../budget-warnings.ts';
import { hostConfiguration } from '../configuration.ts';
import { cacheMiddleware } from '../node/cache-middleware.ts';
import { usageMiddleware } from '../node/usage-middleware.ts';
import { actionWarnings } from '../../llm-cache/action-warnings.ts';
import type { Pipeline, Step } from '../pipelines.ts';
import { secretWarnings, settingsWarnings } from '../settings-warnings.ts';
import { Runtime, type Services } from '../runtime.ts';
import type { Log } from '../../shared/log.ts';
import { appConsumers, type ConsumerNaming } from './consumers.ts';
import { expressExchange, type ExpressRequestOptions } from './request.ts';
import type { AppRequest } from '../node/app-request.ts';

export { ConfigurationError } from '../../../schemas/validate.ts';
export type { Log } from '../../shared/log.ts';
export type { ConsumerNaming } from './consumers.ts';

/** Express middleware (4 and 5, or anything that sets `req.originalUrl` as Express does). */
export type ExpressMiddleware = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** A request with what Express and other middleware add to it. */
export interface ExpressRequest extends IncomingMessage {
  readonly originalUrl: string;
  readonly user?: unknown;
  body?: unknown;
}

/** Options of both middlewares beside the policies' own parameters. */
export interface RequestOptions {
  /**
   * Returns the authenticated consumer: an id, an object, or undefined, null or false if there is
   * none. An object is identified by its `id` or `sub` and the issuer and tenants that it names, or
   * by all of its content if it has neither `id` nor `sub`. Must not be asynchronous. Default:
   * `req.user`. If a consumer cannot be told from others for certain, the request bypasses the cache.
   */
  consumer?(req: ExpressRequest): unknown;
  /** The name of these requests in stats and records, and their namespace. Default: none. */
  readonly apiEndpoint?: string;
}

/** The parameters of the `llm-cache` policy. All have defaults. */
export type LlmCacheOptions = Partial<LlmCacheSettings> & RequestOptions;

/** The parameters of the `llm-usage` policy. All have defaults. */
export type LlmUsageOptions = Partial<LlmUsageSettings> & RequestOptions;

type Loose<T extends { readonly type: string }, R extends keyof T = 'type'> = Pick<T, R | 'type'> &
  Partial<T>;

type LooseMemory = Loose<Omit<MemorySettings, 'persist'>> & {
  /** The file that keeps the entries across a restart. */
  readonly persist?: { readonly path: string; readonly everySeconds?: number };
};

/** The settings under `plugins: llm-cache:` in the gateway's `system.config.yml`. All have defaults. */
export interface LlmCacheConfig {
  /** Default: a random one for this process. Required with a redis store or `persist`. */
  readonly scopeSecret?: string;
  readonly limits?: { readonly bufferedBytes?: number };
  readonly stores?: Readonly<
    Record<string, LooseMemory | Loose<RedisSettings> | Loose<TieredSettings, 'far'>>
  >;
  readonly usage?: {
    readonly ledger?: Partial<LedgerSettings>;
    readonly sinks?: readonly SinkSettings[];
    readonly prices?: Readonly<Record<string, RateSettings>>;
    readonly budgets?: readonly BudgetSettings[];
  };
  readonly admin?: { readonly hosts?: readonly string[]; readonly recentRequests?: number };
}

/** A cache with its own stores and usage records. */
export interface LlmCache {
  /** Answers identical requests from the cache. Throws a ConfigurationError. */
  llmCache(options?: LlmCacheOptions): ExpressMiddleware;
  /** Records one usage record per request. Use it before `llmCache`. Throws a ConfigurationError. */
  llmUsage(options?: LlmUsageOptions): ExpressMiddleware;
  /** Serves the admin API and the dashboard under `/llm-cache`, without authentication. */
  readonly adminRoutes: ExpressMiddleware;
  /** Resolves when every usage record so far has been written. Call it before the process ends. */
  flush(): Promise<void>;
  /** Flushes, saves persistent stores, and releases connections, files and entries. */
  close(): Promise<void>;
}

/** The names of unnamed requests in stats and in `explain`. */
const unnamed = { pipeline: 'express', apiEndpoint: 'default' } as const;

/** What the application provides beside the settings. */
export interface LlmCacheParts {
  /** Default: the console. */
  readonly log?: Log;
  /** Names the app's consumers in the admin routes. Default: their ids. */
  readonly consumers?: ConsumerNaming;
}

/** Creates a cache for an Express app. Throws a ConfigurationError if `config` is invalid. */
export function createLlmCache(
  config: LlmCacheConfig = {},
  { log = console, consumers }: LlmCacheParts = {},
): LlmCache {
  refuseOptions(config);
  const pipelines: WritablePipeline[] = [];
  const configuration = {
    ...hostConfiguration(config, pipelines, 'createLlmCache'),
    consumers: appConsumers(consumers),
  };
  const runtime = new Runtime(log);
  runtime.configure(configuration);
  const warnings = [
    ...settingsWarnings(configuration.settings, 'createLlmCache'),
    ...secretWarnings(configuration.secret, configuration.settings, 'createLlmCache'),
    ...budgetWarnings(configuration.settings, 'createLlmCache', null),
  ];
  for (const warning of warnings) log.warn(warning);
  const services: Services = {
    ...runtime.services(),
    pipelineOf: (apiEndpoint) => apiEndpoint ?? unnamed.pipeline,
    // An app's next handler is unknown.
    nextPolicy: () => null,
  };
  const root = packageFolder();

  return {
    llmCache: (options = {}) => {
      const { settings, host } = read<LlmCacheSettings>(expressCacheSchema, options, 'llm-cache');
      for (const warning of actionWarnings({ ...options }, 'llm-cache')) log.warn(warning);
      const middleware = cacheMiddleware(settings, services, expressExchange(host));
      const name = host.apiEndpoint ?? unnamed.pipeline;
      services.stats.register(name);
      stepsOf(pipelines, name, host.apiEndpoint ?? unnamed.apiEndpoint).push({
        pipeline: name,
        policy: 'llm-cache',
        action: settings,
        condition: undefined,
      });
      return asExpress(middleware);
    },
    llmUsage: (options = {}) => {
      const { settings, host } = read<LlmUsageSettings>(expressUsageSchema, options, 'llm-usage');
      return asExpress(usageMiddleware(settings, services, expressExchange(host)));
    },
    adminRoutes: adminHandler({
      current: () => runtime.admin(),
      pageFolder: join(root ?? '', 'dist', 'policies', 'admin', 'page'),
      version: versionIn(root),
      faults: runtime.faults,
      hosts: () => runtime.adminHosts(),
    }) as ExpressMiddleware,
    flush: () => runtime.flush(),
    close: () => runtime.close(),
  };
}

let common: LlmCache | null = null;

/** The cache with default settings: entries in memory, usage records on the console. */
function defaultCache(): LlmCache {
  return (common ??= createLlmCache());
}

/** As `createLlmCache().llmCache`, on one cache for the whole process. Throws a ConfigurationError. */
export function llmCache(options: LlmCacheOptions = {}): ExpressMiddleware {
  return defaultCache().llmCache(options);
}

/** As `createLlmCache().llmUsage`, on one cache for the whole process. Throws a ConfigurationError. */
export function llmUsage(options: LlmUsageOptions = {}): ExpressMiddleware {
  return defaultCache().llmUsage(options);
}

interface WritablePipeline extends Pipeline {
  readonly steps: Step[];
}

function stepsOf(pipelines: WritablePipeline[], name: string, apiEndpoint: string): Step[] {
  const known = pipelines.find((pipeline) => pipeline.name === name);
  if (known !== undefined) return known.steps;
  const steps: Step[] = [];
  pipelines.push({ name, apiEndpoints: [apiEndpoint], steps, forwardsHost: true });
  return steps;
}

function isSetting(name: string): boolean {
  return Object.hasOwn(pluginSchema.properties, name);
}

/** Throws a ConfigurationError if `config` has an option of a middleware. */
function refuseOptions(config: unknown): void {
  if (typeof config !== 'object' || config === null) return;
  for (const name of Object.keys(config)) {
    const takers = [
      ['llmCache', expressCacheSchema] as const,
      ['llmUsage', expressUsageSchema] as const,
    ].filter(([, { propertyNames }]) => propertyNames.enum.includes(name));
    if (takers.length === 0) continue;
    const calls = takers.map(([taker]) => `${taker}({ ${name} })`).join(' and ');
    throw new ConfigurationError(
      `createLlmCache: "${name}" is an option of a middleware; it goes to ${calls}`,
    );
  }
}

/** Returns the policy's parameters with every default, and the middleware's own options. */
function read<S>(
  schema: Schema & { readonly $id: string },
  options: RequestOptions,
  where: string,
): { readonly settings: S; readonly host: ExpressRequestOptions } {
  const isObject = typeof options === 'object' && options !== null;
  const setting = Object.keys(isObject ? options : {}).find(isSetting);
  if (setting !== undefined) {
    throw new ConfigurationError(
      `${where}: "${setting}" is a setting of the whole cache; it goes to createLlmCache({ ${setting} })`,
    );
  }
  const { consumer = userOf, ...rest } = isObject ? options : {};
  if (typeof consumer !== 'function') {
    throw new ConfigurationError(
      `${where}: "consumer" must be a function, got ${JSON.stringify(consumer)}`,
    );
  }
  const { apiEndpoint = null, ...settings } = validate<{ apiEndpoint?: string }>(
    schema,
    isObject ? rest : options,
    where,
  );
  return { settings: settings as S, host: { apiEndpoint, consumer } };
}

function userOf(req: ExpressRequest): unknown {
  return req.user;
}

/** The cast is safe: Express sets `originalUrl`, and nothing else is required. */
function asExpress(
  middleware: (req: AppRequest, res: ServerResponse, next: () => void) => void,
): ExpressMiddleware {
  return middleware as ExpressMiddleware;
}

/** The nearest folder above this file with a `package.json`; null in an ES module. */
function packageFolder(): string | null {
  // Deno runs the source as an ES module, without a built dashboard page beside it.
  if (typeof __dirname === 'undefined') return null;
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) {
    folder = dirname(folder);
  }
  return folder;
}

function versionIn(root: string | null): string {
  if (root === null) return 'unknown';
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  return version;
}
