import type { Usage } from '../../shared/usage.ts';

/**
 * Divides the tokens of an answer among its inputs in proportion to `weights`, as no provider reports
 * them per input. The parts add up to the total. Each part is null if the answer reports no tokens.
 */
export function dividedUsage(
  usage: Usage | null,
  weights: readonly number[],
): readonly (Usage | null)[] {
  const total = usage?.inputTokens ?? usage?.totalTokens ?? null;
  if (usage === null || total === null) return weights.map(() => null);
  const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
  let weightSoFar = 0;
  let tokensSoFar = 0;
  return weights.map((weight) => {
    weightSoFar += weight;
    const until = Math.round((total * weightSoFar) / totalWeight);
    const tokens = until - tokensSoFar;
    tokensSoFar = until;
    return { ...usage, inputTokens: tokens, outputTokens: null, totalTokens: tokens, details: {} };
  });
}

/** Returns the sum of the usages' tokens; null if one of them is unknown. */
export function totalTokens(usages: readonly (Usage | null)[]): number | null {
  let sum = 0;
  for (const usage of usages) {
    const tokens = usage?.inputTokens ?? usage?.totalTokens;
    if (tokens === undefined || tokens === null) return null;
    sum += tokens;
  }
  return sum;
}

/** Returns the usage of an answer with only input tokens; null if their number is unknown. */
export function inputUsage(tokens: number | null): Usage | null {
  if (tokens === null) return null;
  return { inputTokens: tokens, outputTokens: null, totalTokens: tokens, details: {} };
}
