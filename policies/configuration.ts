import { llmNoCacheSchema, llmRequestSchema } from '../schemas/conditions.ts';
import { llmCacheSchema, type LlmCacheSettings } from '../schemas/llm-cache.ts';
import { llmUsageSchema } from '../schemas/llm-usage.ts';
import { pluginSchema, type PluginSettings } from '../schemas/plugin.ts';
import { ConfigurationError, validate } from '../schemas/validate.ts';
import { storeSettings, unknownStore } from './llm-cache/stores/registry.ts';
import { conditionsIn, type Pipeline, type Step } from './pipelines.ts';
import type { PluginContext } from './shared/node/gateway.ts';
import { isObject } from './shared/json.ts';

const conditionSchemas = { 'llm-request': llmRequestSchema, 'llm-no-cache': llmNoCacheSchema };

/** The plugin's settings with every default. Throws a ConfigurationError that says what is wrong. */
export function readSettings(context: Pick<PluginContext, 'settings'>): PluginSettings {
  const settings = { ...context.settings };
  return validate<PluginSettings>(pluginSchema, settings, 'system.config.yml, plugins.llm-cache');
}

/** The secret under which consumers and credentials become digests. */
export function scopeSecret(
  settings: PluginSettings,
  systemConfig: Readonly<Record<string, unknown>>,
): string {
  if (settings.scopeSecret !== undefined) return settings.scopeSecret;
  const { crypto } = systemConfig;
  if (isObject(crypto) && typeof crypto['cipherKey'] === 'string' && crypto['cipherKey'] !== '') {
    return crypto['cipherKey'];
  }
  throw new ConfigurationError(
    'system.config.yml, plugins.llm-cache: "scopeSecret" is missing, and there is no crypto.cipherKey to take its place',
  );
}

/** Throws a ConfigurationError for the first step or condition of ours that cannot be used. */
export function checkPipelines(pipelines: readonly Pipeline[], settings: PluginSettings): void {
  for (const step of pipelines.flatMap((pipeline) => pipeline.steps)) {
    const where = `gateway.config.yml, pipeline "${step.pipeline}", ${step.policy}`;
    checkAction(step, settings, where);
    for (const condition of conditionsIn(step.condition)) {
      const name = String(condition['name']);
      if (name !== 'llm-request' && name !== 'llm-no-cache') continue;
      validate(conditionSchemas[name], condition, `${where}, condition ${name}`);
    }
  }
}

function checkAction(step: Step, settings: PluginSettings, where: string): void {
  if (step.policy === 'llm-usage') validate(llmUsageSchema, step.action, where);
  if (step.policy !== 'llm-cache') return;
  const { store } = validate<LlmCacheSettings>(llmCacheSchema, step.action, where);
  const stores = storeSettings(settings.stores);
  if (!Object.hasOwn(stores, store)) throw unknownStore(store, stores, where);
}
