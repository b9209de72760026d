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

/** What Express makes of a request, and what others leave there. */
export interface ExpressRequest extends IncomingMessage {
  readonly originalUrl: string;
  readonly user?: unknown;
  body?: unknown;
}

/** What both middlewares are told beside the policies' own parameters. */
export interface RequestOptions {
  /**
   * Who was authenticated: an id, or an object, which is known by its `id` or `sub`, the issuer and
   * the tenants that it names, and without an `id` and a `sub` by all that is in it; nothing
   * (undefined, null, false) without one. Default: `req.user`. Must not be asynchronous. For a
   * consumer that cannot be told from others for certain the cache stands aside.
   */
  consumer?(req: ExpressRequest): unknown;
  /** A name for these requests in stats and records, and their namespace. Default: none. */
  readonly apiEndpoint?: string;
}

/** The parameters of the `llm-cache` policy; all have their defaults. */
export type LlmCacheOptions = Partial<LlmCacheSettings> & RequestOptions;

/** The parameters of the `llm-usage` policy; all have their defaults. */
export type LlmUsageOptions = Partial<LlmUsageSettings> & RequestOptions;

type Loose<T extends { readonly type: string }, R extends keyof T = 'type'> = Pick<T, R | 'type'> &
  Partial<T>;

type LooseMemory = Loose<Omit<MemorySettings, 'persist'>> & {
  /** The file that keeps the entries over a restart. */
  readonly persist?: { readonly path: string; readonly everySeconds?: number };
};

/** What stands under `plugins: llm-cache:` in the gateway's `system.config.yml`; all have their defaults. */
export interface LlmCacheConfig {
  /** Default: random, for this process; a redis store needs one. */
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

/** A cache of its own, with its stores and books. */
export interface LlmCache {
  /** Answers identical requests from the cache. Throws a ConfigurationError. */
  llmCache(options?: LlmCacheOptions): ExpressMiddleware;
  /** One record per request, cache hits included; stands before `llmCache`. Throws a ConfigurationError. */
  llmUsage(options?: LlmUsageOptions): ExpressMiddleware;
  /** The admin API and the dashboard, under `/llm-cache`. They are unauthenticated. */
  readonly adminRoutes: ExpressMiddleware;
  /** Resolves when every usage record so far is out. Call it before the process ends. */
  flush(): Promise<void>;
  /** Flushes, writes what is kept in files, and lets go of connections, files and entries. */
  close(): Promise<void>;
}

/** What is named nowhere, in stats and in `explain`. */
const unnamed = { pipeline: 'express', apiEndpoint: 'default' } as const;

/** What stands beside the settings. */
export interface LlmCacheParts {
  /** Default: the console. */
  readonly log?: Log;
  /** What the admin routes call the app's consumers; default: their ids. */
  readonly consumers?: ConsumerNaming;
}

/** A cache for an Express app. Throws a ConfigurationError that says what is wrong in `config`. */
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
    // It is not known what an app does next.
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

/** The cache of a process that needs no settings: entries in memory, usage records on the console. */
function commonCache(): LlmCache {
  return (common ??= createLlmCache());
}

/** `createLlmCache().llmCache`, of one cache for the whole process. Throws a ConfigurationError. */
export function llmCache(options: LlmCacheOptions = {}): ExpressMiddleware {
  return commonCache().llmCache(options);
}

/** `createLlmCache().llmUsage`, of the same. Throws a ConfigurationError. */
export function llmUsage(options: LlmUsageOptions = {}): ExpressMiddleware {
  return commonCache().llmUsage(options);
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

/** Throws a ConfigurationError that says where an option of a middleware goes, which stands in `config`. */
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

/** The policy's parameters with every default, and what the middleware alone has. */
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

/** Express has put `originalUrl` there; nothing else has to be. */
function asExpress(
  middleware: (req: AppRequest, res: ServerResponse, next: () => void) => void,
): ExpressMiddleware {
  return middleware as ExpressMiddleware;
}

/** The nearest folder above this file, built or not, with a `package.json`; null as a module. */
function packageFolder(): string | null {
  // Deno reads the source as a module, beside which no page is built.
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
