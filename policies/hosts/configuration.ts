import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { llmNoCacheSchema, llmRequestSchema } from '../../schemas/conditions.ts';
import { contradictionIn, llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { llmUsageSchema } from '../../schemas/llm-usage.ts';
import {
  type MemorySettings,
  pluginSchema,
  type PluginSettings,
  type RedisSettings,
  type StoreSettings,
} from '../../schemas/plugin.ts';
import { suggestion } from '../../schemas/suggestion.ts';
import { ConfigurationError, validate } from '../../schemas/validate.ts';
import type { ConsumerDirectory } from '../admin/consumers.ts';
import type { AdminHosts } from '../admin/guard.ts';
import type { Tryout } from '../admin/services.ts';
import {
  isPlaced,
  redisStores,
  storeSettings,
  unknownStore,
} from '../llm-cache/stores/registry.ts';
import { budgetName } from '../llm-usage/budgets.ts';
import { whyNotWritable } from '../llm-usage/sinks/writable.ts';
import { checkConditionName } from './condition-names.ts';
import { checkPolicyNames } from './policy-names.ts';
import { conditionsIn, type Pipeline, type Step } from './pipelines.ts';
import type { PluginContext } from './gateway/types.ts';
import {
  applicationIdentity,
  gatewayIdentity,
  type Identity,
} from '../shared/identity/identity.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';
import { UnsetVariables } from './unset-variables.ts';

/** The validated configuration of a runtime. */
export interface Configuration {
  readonly settings: PluginSettings;
  /** The key for the digests of consumers and credentials. */
  readonly secret: string;
  /** The connection options of redis stores whose own settings do not name a Redis. */
  readonly gatewayRedis: Readonly<Record<string, unknown>>;
  readonly pipelines: readonly Pipeline[];
  readonly adminHosts: AdminHosts;
  /** The identity of a consumer of the host, for `explain`, which has no real request. */
  identify(consumer: unknown): Identity;
  /** The host's consumers; null if the host keeps none. */
  readonly consumers: ConsumerDirectory | null;
  /** The example request that the dashboard offers; null if there is none. */
  readonly tryout: Tryout | null;
}

/** Validates the gateway's settings and pipelines. Throws a ConfigurationError. */
export function gatewayConfiguration(
  context: Pick<PluginContext, 'settings' | 'config'>,
  pipelines: readonly Pipeline[],
): Configuration {
  const { systemConfig, gatewayConfig, systemConfigPath, gatewayConfigPath } = context.config;
  const unset = UnsetVariables.in(systemConfigPath);
  const settings = unset.explain(context.settings, settingsPlace, () => readSettings(context));
  const { crypto } = systemConfig;
  const fallback = settings.scopeSecret === undefined ? { crypto } : {};
  const secret = unset.explain(fallback, 'system.config.yml', () =>
    scopeSecret(settings, systemConfig),
  );
  checkStores(settings, systemConfig);
  checkUsage(settings);
  checkPolicyNames(pipelines, gatewayConfig['policies']);
  checkPipelines(pipelines, settings, {
    unset: UnsetVariables.in(gatewayConfigPath),
    hasOtherPlugins: Object.keys(pluginsIn(systemConfig)).length > 1,
  });
  prepareFiles(settings);
  const adminHosts = {
    names: hostNames([...settings.admin.hosts, ...adminHostsOfGateway(gatewayConfig)]),
    setting: 'admin.hosts (system.config.yml, plugins.llm-cache)',
  };
  return {
    settings,
    secret,
    gatewayRedis: redisOfGateway(systemConfig),
    pipelines,
    adminHosts,
    identify: gatewayIdentity,
    consumers: null,
    tryout: null,
  };
}

/**
 * Validates the settings of a host without a gateway, which adds its pipelines later. Throws a
 * ConfigurationError whose message begins with `where`.
 */
export function hostConfiguration(
  given: unknown,
  pipelines: readonly Pipeline[],
  where: string,
): Configuration {
  const settings = validate<PluginSettings>(pluginSchema, given, where);
  checkStores(settings, null, where);
  checkUsage(settings, where);
  prepareFiles(settings, where);
  const secret = settings.scopeSecret ?? temporarySecret(settings, where);
  const adminHosts = {
    names: hostNames(settings.admin.hosts),
    setting: `admin.hosts of ${where}`,
  };
  const identify = applicationIdentity;
  return {
    settings,
    secret,
    gatewayRedis: {},
    pipelines,
    adminHosts,
    identify,
    consumers: null,
    tryout: null,
  };
}

/** A secret for entries of this process. Throws a ConfigurationError if a store outlives it. */
function temporarySecret({ stores }: PluginSettings, where: string): string {
  const [persistent] = Object.entries(stores).find(
    ([, store]) => store.type === 'memory' && store.persist !== undefined,
  ) ?? [null];
  if (persistent !== null) {
    throw noSecret(where, `with "persist" ("${persistent}") it must be the same after a restart`);
  }
  const [shared] = redisStores(stores);
  if (shared !== undefined) {
    throw noSecret(where, `with a redis store ("${shared}") it must be the same in every process`);
  }
  return randomBytes(32).toString('base64');
}

function noSecret(where: string, why: string): ConfigurationError {
  return new ConfigurationError(
    `${where}: "scopeSecret" is missing: ${why}; make one with \`openssl rand -base64 32\``,
  );
}

/** Where the gateway's settings are, as error messages name it. */
export const settingsPlace = 'system.config.yml, plugins.llm-cache';

const conditionSchemas = { 'llm-request': llmRequestSchema, 'llm-no-cache': llmNoCacheSchema };

/** Returns the plugin's settings with every default. Throws a ConfigurationError. */
export function readSettings(context: Pick<PluginContext, 'settings'>): PluginSettings {
  const settings = { ...context.settings };
  return validate<PluginSettings>(pluginSchema, settings, settingsPlace);
}

/** The key for the digests of consumers and credentials. Throws a ConfigurationError without one. */
export function scopeSecret(
  settings: PluginSettings,
  systemConfig: Readonly<Record<string, unknown>>,
): string {
  if (settings.scopeSecret !== undefined) return settings.scopeSecret;
  const { crypto } = systemConfig;
  if (isObject(crypto) && typeof crypto['cipherKey'] === 'string' && crypto['cipherKey'] !== '') {
    return crypto['cipherKey'];
  }
  throw noSecret(settingsPlace, 'there is no "crypto.cipherKey" to take its place');
}

/** Context that affects the validation of pipelines. */
interface PipelineContext {
  /** The unset variables in the file that contains the pipelines. */
  readonly unset?: UnsetVariables;
  /** Whether there are other plugins, which may add conditions. */
  readonly hasOtherPlugins?: boolean;
}

/**
 * Throws a ConfigurationError for the first invalid step or condition of the plugin, or if another
 * step has a condition that does not exist.
 */
export function checkPipelines(
  pipelines: readonly Pipeline[],
  settings: PluginSettings,
  { unset = UnsetVariables.none, hasOtherPlugins = false }: PipelineContext = {},
): void {
  for (const step of pipelines.flatMap((pipeline) => pipeline.steps)) {
    const where = `gateway.config.yml, pipeline "${step.pipeline}", ${step.policy}`;
    if (isOurs(step)) {
      unset.explain(step.action, where, () => checkAction(step, settings, where));
    }
    checkConditionName(step.condition, where, hasOtherPlugins);
    for (const condition of conditionsIn(step.condition)) {
      const name = String(condition['name']);
      if (name !== 'llm-request' && name !== 'llm-no-cache') continue;
      validate(conditionSchemas[name], condition, `${where}, condition ${name}`);
    }
  }
}

function isOurs({ policy }: Step): boolean {
  return policy === 'llm-usage' || policy === 'llm-cache';
}

function checkAction(step: Step, settings: PluginSettings, where: string): void {
  const stray = step.strays?.[0];
  if (stray !== undefined) {
    throw new ConfigurationError(
      `${where}: "${stray}" stands beside action and condition, where it has no effect; parameters stand in action, as in ${step.policy}: { action: { … } }`,
    );
  }
  if (isObject(step.action) && step.action['condition'] !== undefined) {
    throw new ConfigurationError(
      `${where}: "condition" stands in action, where it has no effect; write it beside action`,
    );
  }
  if (step.policy === 'llm-usage') validate(llmUsageSchema, step.action, where);
  if (step.policy !== 'llm-cache') return;
  const action = validate<LlmCacheSettings>(llmCacheSchema, step.action, where);
  const contradiction = contradictionIn(action);
  if (contradiction !== null) throw new ConfigurationError(`${where}: ${contradiction}`);
  const { store } = action;
  const stores = storeSettings(settings.stores);
  if (!Object.hasOwn(stores, store)) {
    throw unknownStore(store, stores, where, 'in system.config.yml');
  }
}

/** Throws a ConfigurationError for the first invalid store. A null `systemConfig`: no gateway. */
export function checkStores(
  settings: PluginSettings,
  systemConfig: Readonly<Record<string, unknown>> | null,
  place = settingsPlace,
): void {
  const stores = storeSettings(settings.stores);
  const namesOf = (type: StoreSettings['type']) =>
    Object.keys(stores).filter((name) => stores[name]?.type === type);
  for (const [name, store] of Object.entries(stores)) {
    const where = `${place}: "stores.${name}`;
    if (store.type === 'redis') checkRedis(store, systemConfig, where);
    if (store.type === 'memory') checkPersist(store, stores, settings.usage, where);
    if (store.type !== 'tiered') continue;
    for (const [part, type] of [
      ['near', 'memory'],
      ['far', 'redis'],
    ] as const) {
      if (namesOf(type).includes(store[part])) continue;
      const allowed = namesOf(type).join(', ') || `none, because there is no ${type} store`;
      throw new ConfigurationError(
        `${where}.${part}" must be the name of a ${type} store (${allowed}), got ${JSON.stringify(store[part])}${suggestion(store[part], namesOf(type))}`,
      );
    }
  }
}

/** Throws a ConfigurationError if the settings of the ledger, a budget or a sink are invalid. */
export function checkUsage({ stores: named, usage }: PluginSettings, place = settingsPlace): void {
  const stores = storeSettings(named);
  const where = `${place}: "usage`;
  const { store } = usage.ledger;
  if (!Object.hasOwn(stores, store)) {
    throw new ConfigurationError(
      `${where}.ledger.store" must be one of ${Object.keys(stores).join(', ')}, got ${JSON.stringify(store)}${suggestion(store, Object.keys(stores))}`,
    );
  }
  checkBudgets(usage, where);
  const types = usage.sinks.map((sink) => sink.type);
  for (const [index, sink] of usage.sinks.entries()) {
    if (sink.type === 'prometheus' && types.indexOf('prometheus') !== index) {
      throw new ConfigurationError(`${where}.sinks.${index}" is a second prometheus sink`);
    }
    if (sink.type !== 'redis' || sink.url !== undefined) continue;
    const places = redisStores(stores);
    const isKnown = sink.store === undefined ? places.length === 1 : places.includes(sink.store);
    if (isKnown) continue;
    const allowed = places.join(', ') || 'none, because there is no redis store';
    throw new ConfigurationError(
      `${where}.sinks.${index}.store" must be the name of a redis store (${allowed}), unless there is a "url"${sink.store === undefined ? '' : `, got ${JSON.stringify(sink.store)}${suggestion(sink.store, places)}`}`,
    );
  }
}

function checkBudgets({ budgets, ledger }: PluginSettings['usage'], where: string): void {
  const names = budgets.map(budgetName);
  for (const [index, { per }] of budgets.entries()) {
    const name = names[index] ?? '';
    if (names.indexOf(name) !== index) {
      throw new ConfigurationError(
        `${where}.budgets.${index}" has the name of another one, ${JSON.stringify(name)}; give it a "name" of its own`,
      );
    }
    if (per === 'month' && ledger.retentionDays < daysOfMonth) {
      throw new ConfigurationError(
        `${where}.ledger.retentionDays" must be at least ${daysOfMonth} for a budget per month, got ${ledger.retentionDays}`,
      );
    }
  }
}

const daysOfMonth = 31;

/**
 * Creates the folders of the files for entries and usage records. Throws a ConfigurationError for the
 * first file that cannot be written.
 */
export function prepareFiles({ usage, stores }: PluginSettings, place = settingsPlace): void {
  for (const [name, store] of Object.entries(stores)) {
    if (store.type !== 'memory' || store.persist === undefined) continue;
    const why = whyNotWritable(store.persist.path);
    if (why === null) continue;
    throw new ConfigurationError(`${place}: "stores.${name}.persist.path": ${why}`);
  }
  for (const [index, sink] of usage.sinks.entries()) {
    if (sink.type !== 'jsonl' || sink.path === undefined) continue;
    const why = whyNotWritable(sink.path);
    if (why === null) continue;
    throw new ConfigurationError(`${place}: "usage.sinks.${index}.path": ${why}`);
  }
}

/** Throws a ConfigurationError if another store or a sink uses the store's file. */
function checkPersist(
  { persist }: MemorySettings,
  stores: Readonly<Record<string, StoreSettings>>,
  { sinks }: PluginSettings['usage'],
  where: string,
): void {
  if (persist === undefined) return;
  const path = resolve(persist.path);
  const index = sinks.findIndex(
    (sink) => sink.type === 'jsonl' && sink.path !== undefined && resolve(sink.path) === path,
  );
  if (index >= 0) {
    throw new ConfigurationError(
      `${where}.persist.path" is the file of "usage.sinks.${index}", expected one of its own`,
    );
  }
  const sharing = Object.keys(stores).filter((name) => {
    const other = stores[name];
    return (
      other?.type === 'memory' &&
      other.persist !== undefined &&
      resolve(other.persist.path) === path
    );
  });
  if (sharing.length < 2) return;
  throw new ConfigurationError(
    `${where}.persist.path" is the file of several stores (${sharing.join(', ')}), expected one of its own for each`,
  );
}

/** Throws a ConfigurationError. No message shows a value, which may contain a secret. */
function checkRedis(
  store: RedisSettings,
  systemConfig: Readonly<Record<string, unknown>> | null,
  where: string,
): void {
  if (!isPlaced(store) && systemConfig === null) {
    throw new ConfigurationError(`${where}.url" is missing: expected the url of a Redis`);
  }
  if (!isPlaced(store) && systemConfig !== null && isEmulated(systemConfig)) {
    throw new ConfigurationError(
      `${where}.url" is missing, and the gateway's own db.redis is emulated: expected the url of a Redis`,
    );
  }
  if (store.url !== undefined && !/^(rediss?:\/\/|\/)./.test(store.url)) {
    throw new ConfigurationError(
      `${where}.url" must begin with redis:// or rediss://, or be the path of a socket`,
    );
  }
  if ('keyPrefix' in store.options) {
    throw new ConfigurationError(
      `${where}.options.keyPrefix" must not be set; use the store's own "keyPrefix"`,
    );
  }
}

/** The gateway's own Redis options, without those that are only for the gateway. */
export function redisOfGateway(
  systemConfig: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const {
    emulate: _emulate,
    namespace: _namespace,
    keyPrefix: _keyPrefix,
    ...options
  } = dbRedis(systemConfig);
  return isObject(options['tls']) ? { ...options, tls: withFiles(options['tls']) } : options;
}

/** Reads the files that `tls` names. The gateway itself reads them only after loading its plugins. */
function withFiles(tls: JsonObject): JsonObject {
  const read = { ...tls };
  for (const name of ['key', 'cert', 'ca']) {
    const file = tls[`${name}File`];
    if (typeof file === 'string' && file !== '') read[name] ??= readFile(file, `${name}File`);
  }
  return read;
}

function readFile(file: string, setting: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ConfigurationError(
      `system.config.yml: "db.redis.tls.${setting}" is a file that cannot be read (${code}): ${file}`,
    );
  }
}

function pluginsIn({ plugins }: Readonly<Record<string, unknown>>): JsonObject {
  return isObject(plugins) ? plugins : {};
}

/** The host names that the gateway's admin port listens on. */
function adminHostsOfGateway({ admin }: JsonObject): readonly string[] {
  if (!isObject(admin)) return [];
  return [admin['host'], admin['hostname']].filter((name) => typeof name === 'string');
}

function hostNames(names: readonly string[]): readonly string[] {
  return names.map((name) => name.toLowerCase().replace(/\.$/, ''));
}

function isEmulated(systemConfig: Readonly<Record<string, unknown>>): boolean {
  return process.argv[2] === 'emulate' || dbRedis(systemConfig)['emulate'] === true;
}

function dbRedis(systemConfig: Readonly<Record<string, unknown>>): JsonObject {
  const { db } = systemConfig;
  return isObject(db) && isObject(db['redis']) ? db['redis'] : {};
}
