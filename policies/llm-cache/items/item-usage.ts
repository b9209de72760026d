import type { Usage } from '../../shared/usage.ts';

/**
 * The tokens of an answer, divided by the lengths of its inputs: no provider tells them of each. The
 * parts add up to the whole. Null where it told none.
 */
export function dividedUsage(
  usage: Usage | null,
  weights: readonly number[],
): readonly (Usage | null)[] {
  const total = usage?.inputTokens ?? usage?.totalTokens ?? null;
  if (usage === null || total === null) return weights.map(() => null);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  let given = 0;
  return weights.map((weight) => {
    before += weight;
    const until = Math.round((total * before) / all);
    const tokens = until - given;
    given = until;
    return { ...usage, inputTokens: tokens, outputTokens: null, totalTokens: tokens, details: {} };
  });
}

/** What these tell together; null where one of them tells nothing. */
export function totalTokens(usages: readonly (Usage | null)[]): number | null {
  let sum = 0;
  for (const usage of usages) {
    const tokens = usage?.inputTokens ?? usage?.totalTokens;
    if (tokens === undefined || tokens === null) return null;
    sum += tokens;
  }
  return sum;
}

/** So many input tokens. */
export function inputUsage(tokens: number | null): Usage | null {
  if (tokens === null) return null;
  return { inputTokens: tokens, outputTokens: null, totalTokens: tokens, details: {} };
}
