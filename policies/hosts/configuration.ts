import { randomBytes } from 'node:crypto';
import { pluginSchema, type PluginSettings } from '../../schemas/plugin.ts';
import { ConfigurationError, validate } from '../../schemas/validate.ts';
import type { ConsumerDirectory } from '../admin/consumers.ts';
import type { AdminHosts } from '../admin/guard.ts';
import type { Tryout } from '../admin/services.ts';
import { redisStores } from '../llm-cache/stores/registry.ts';
import {
  applicationIdentity,
  gatewayIdentity,
  type Identity,
} from '../shared/identity/identity.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';
import { redisOfGateway } from './gateway-redis.ts';
import type { PluginContext } from './gateway/types.ts';
import { checkPipelines } from './pipeline-checks.ts';
import type { Pipeline } from './pipelines.ts';
import { checkPolicyNames } from './policy-names.ts';
import { prepareFiles } from './prepare-files.ts';
import { settingsPlace } from './settings-place.ts';
import { checkStores } from './store-checks.ts';
import { UnsetVariables } from './unset-variables.ts';
import { checkUsage } from './usage-checks.ts';

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
