import type { Usage } from '../shared/usage.ts';
import type { Price, RateName, Rates } from './rates.ts';
import { type Counting, type Part, readTokens, type Tokens } from './token-parts.ts';

export interface Costs {
  /** USD; null if unknown. */
  readonly input: number | null;
  readonly output: number | null;
  readonly total: number | null;
  /** What the costs leave out, or why they are null. */
  readonly caveat: string | null;
}

interface Fee {
  /** The unit's name in `detailNames`. */
  readonly unit: string;
  readonly rate: RateName | null;
  /** How many units the rate pays for. */
  readonly per: number;
}

/** Fees charged besides input and output; a fee without a rate only adds a caveat. */
const fees: readonly Fee[] = [
  { unit: 'citation_tokens', rate: 'citation', per: 1e6 },
  { unit: 'search_units', rate: 'search', per: 1000 },
  { unit: 'web_search_requests', rate: 'webSearch', per: 1000 },
  { unit: 'file_search_calls', rate: 'fileSearch', per: 1000 },
  { unit: 'code_execution_calls', rate: 'codeExecution', per: 1000 },
  { unit: 'image_generation_calls', rate: 'imageGeneration', per: 1000 },
  { unit: 'other_model_tokens', rate: null, per: 1e6 },
  { unit: 'input_audio_seconds', rate: null, per: 1 },
  { unit: 'sources_used', rate: null, per: 1 },
  { unit: 'server_tool_calls', rate: null, per: 1 },
];

/** The costs of a free answer. */
export const noCosts: Costs = { input: 0, output: 0, total: 0, caveat: null };

/** Returns costs that are unknown for the reason in `caveat`. */
export function unknownCosts(caveat: string): Costs {
  return { input: null, output: null, total: null, caveat };
}

/** Returns what `usage` costs at `price`. A part without a price makes its sum null. */
export function costsOf(usage: Usage, price: Price, counting: Counting): Costs {
  const caveats: string[] = [];
  const [own, compaction] = splitCompaction(usage);
  const tokens = readTokens(own, counting) ?? emptyTokens(usage);
  if (tokens === null) return unknownCosts('the answer reports no usage');
  const factor = factorOf(usage.terms ?? [], price, caveats);
  const micro = { input: 0 as number | null, output: 0 as number | null };
  for (const part of [tokens, compaction === null ? null : readTokens(compaction, counting)]) {
    if (part === null) continue;
    const rates = price.rates(part.input.all);
    micro.input = plus(micro.input, sumParts(part.input.parts, rates, caveats));
    micro.output = plus(micro.output, sumParts(part.output, rates, caveats));
  }
  caveats.push(...tokens.caveats);
  const input = times(micro.input, factor);
  const output = times(micro.output, factor);
  const tools = feesOf(usage, price.rates(tokens.input.all), caveats);
  if (price.without !== undefined) caveats.push(`without ${price.without}`);
  return {
    input: toDollars(input),
    output: toDollars(output),
    total: toDollars(plus(plus(input, output), tools)),
    caveat: caveats.length > 0 ? [...new Set(caveats)].join('; ') : null,
  };
}

/** Returns empty token counts for an answer that counts searches instead of tokens, else null. */
function emptyTokens({ details }: Usage): Tokens | null {
  if (details['search_units'] === undefined) return null;
  return { input: { all: 0, parts: [] }, output: [], caveats: [] };
}

/** Splits the usage into the answer's own and that of the provider's compaction of the conversation. */
function splitCompaction(usage: Usage): [own: Usage, compaction: Usage | null] {
  const of = (name: string) => usage.details[name] ?? 0;
  const input = of('compaction_input_tokens');
  const output = of('compaction_output_tokens');
  if (input + output === 0) return [usage, null];
  const kinds = ['cached_tokens', 'cache_write_tokens', 'cache_write_1h_tokens'] as const;
  const parts = Object.fromEntries(kinds.map((kind) => [kind, of(`compaction_${kind}`)]));
  const less = (value: number | null, by: number) => (value === null ? null : value - by);
  const rest = kinds.map((kind) => [kind, Math.max(0, of(kind) - of(`compaction_${kind}`))]);
  return [
    {
      inputTokens: less(usage.inputTokens, input),
      outputTokens: less(usage.outputTokens, output),
      totalTokens: less(usage.totalTokens, input + output),
      details: { ...usage.details, ...(Object.fromEntries(rest) as Record<string, number>) },
    },
    { inputTokens: input, outputTokens: output, totalTokens: input + output, details: parts },
  ];
}

/** Multiplies the factors that the terms apply to token prices; null if one is unknown. */
function factorOf(terms: readonly string[], { factors }: Price, caveats: string[]): number | null {
  let all: number | null = 1;
  for (const term of terms) {
    const factor =
      factors !== undefined && Object.hasOwn(factors, term) ? factors[term] : undefined;
    caveats.push(
      factor === undefined ? `no price for ${term}` : `${term}: ${factor} times the list price`,
    );
    all = times(all, factor ?? null);
  }
  return all;
}

/**
 * Sums the parts in millionths of a dollar. A part without a rate adds a caveat and makes the sum
 * null.
 */
function sumParts(parts: readonly Part[], rates: Rates, caveats: string[]): number | null {
  let micro: number | null = 0;
  for (const { count, names, label } of parts) {
    const name = names.find((one) => rates[one] !== undefined);
    const rate = name === undefined ? undefined : rates[name];
    if (rate === undefined) caveats.push(`no price for ${label}`);
    micro = plus(micro, rate === undefined ? null : count * rate);
  }
  return micro;
}

/** Sums the fees that have rates, in millionths of a dollar; the caveats list those and the others. */
function feesOf({ details }: Usage, rates: Rates, caveats: string[]): number {
  let micro = 0;
  for (const { unit, rate: name, per } of fees) {
    const count = details[unit] ?? 0;
    if (count === 0) continue;
    const rate = name === null ? undefined : rates[name];
    if (rate === undefined) caveats.push(`without ${unit}`);
    else {
      caveats.push(`the total has ${unit} at the list price`);
      micro += (count * rate * 1e6) / per;
    }
  }
  return micro;
}

function plus(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}

function times(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one * other;
}

/**
 * Converts millionths of a dollar to dollars, rounded to 10⁻¹²: the digits beyond are
 * floating-point noise.
 */
function toDollars(micro: number | null): number | null {
  return micro === null ? null : Math.round(micro * 1e6) / 1e12;
}
