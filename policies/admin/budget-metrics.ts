import type { Registry } from 'prom-client';
import type { BudgetState } from '../llm-usage/budgets.ts';
import { asyncGauge } from '../shared/prometheus/metric.ts';

/** Registers the metrics of budgets: their limits and what is spent. */
export function budgetMetrics(
  registry: Registry,
  states: () => Promise<readonly BudgetState[]>,
): void {
  const metrics = [
    ['budget_usd', 'What may be billed in the current day or month, in USD.', 'usd'],
    ['budget_spent_usd', 'What has been billed of it so far, in USD at list price.', 'spent'],
  ] as const;
  for (const [name, help, member] of metrics) {
    const text = { name: `llm_usage_${name}`, help, labelNames: ['budget', 'per'] };
    asyncGauge(registry, text, async () =>
      (await states()).map(
        (state) => [{ budget: state.name, per: state.per }, state[member]] as const,
      ),
    );
  }
}
