import type { PluginSettings } from '../../schemas/plugin.ts';
import { suggestion } from '../../schemas/suggestion.ts';
import { budgetName } from '../llm-usage/budgets.ts';
import { storeSettings } from '../llm-cache/stores/registry.ts';
import type { Pipeline } from './pipelines.ts';

/** Returns a sentence for each budget that counts less than its operator may expect. */
export function budgetWarnings(
  { stores, usage }: Pick<PluginSettings, 'stores' | 'usage'>,
  where: string,
  pipelines: readonly Pipeline[] | null,
): string[] {
  const { budgets, ledger } = usage;
  const warnings: string[] = [];
  const inMemory = storeSettings(stores)[ledger.store]?.type === 'memory';
  if (budgets.length > 0 && inMemory) {
    warnings.push(
      `${where}: "usage.budgets" count what this process has billed since its start, because "usage.ledger.store" is a memory store; name a redis store to count all gateways and keep the sums`,
    );
  }
  if (pipelines === null) return warnings;
  const known = pipelines.flatMap(({ apiEndpoints }) => apiEndpoints);
  for (const budget of budgets) {
    const { apiEndpoint } = budget;
    if (apiEndpoint === undefined || known.includes(apiEndpoint)) continue;
    warnings.push(
      `${where}: the budget ${JSON.stringify(budgetName(budget))} never fills, because no pipeline serves the apiEndpoint ${JSON.stringify(apiEndpoint)}${suggestion(apiEndpoint, known)}`,
    );
  }
  return warnings;
}
