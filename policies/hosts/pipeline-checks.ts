import { llmNoCacheSchema, llmRequestSchema } from '../../schemas/conditions.ts';
import { contradictionIn, llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { llmUsageSchema } from '../../schemas/llm-usage.ts';
import type { PluginSettings } from '../../schemas/plugin.ts';
import { ConfigurationError, validate } from '../../schemas/validate.ts';
import { storeSettings, unknownStore } from '../llm-cache/stores/registry.ts';
import { isObject } from '../shared/json/json.ts';
import { checkConditionName } from './condition-names.ts';
import { conditionsIn, type Pipeline, type Step } from './pipelines.ts';
import { UnsetVariables } from './unset-variables.ts';

const conditionSchemas = { 'llm-request': llmRequestSchema, 'llm-no-cache': llmNoCacheSchema };

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
