import { countOf, isNoCount } from './count.ts';
import { type Iterations, readIterations } from './iterations.ts';
import { isObject } from './json/json.ts';
import { type DetailName, readDetails } from './usage-details.ts';

/** Tokens as a provider counts them; null where it gives no count. */
export interface Usage {
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** The provider's own total, else the sum of the two. */
  readonly totalTokens: number | null;
  /** Parts of these counts, and units other than tokens, under the names of `detailNames`. */
  readonly details: Readonly<Record<string, number>>;
  /** Why its price differs from the standard one, in the provider's words: `service_tier flex`. */
  readonly terms?: readonly string[];
}

/** The providers' names of the main counts. */
const countNames = [
  'prompt_tokens',
  'input_tokens',
  'completion_tokens',
  'output_tokens',
  'total_tokens',
] as const;

/**
 * Returns `usage` without implausible details, or null if one of its main counts is implausible. For
 * usage from a store, where another version or another program may have written it.
 */
export function soundUsage(usage: Usage | null): Usage | null {
  if (usage === null) return null;
  const { inputTokens, outputTokens, totalTokens, details } = usage;
  if ([inputTokens, outputTokens, totalTokens].some(isNoCount)) return null;
  const entries = Object.entries(details);
  const sound = entries.filter(([, count]) => !isNoCount(count));
  return sound.length === entries.length ? usage : { ...usage, details: Object.fromEntries(sound) };
}

/** Reads the usage object of any provider's answer; null if it has neither tokens nor searches. */
export function readUsage(raw: unknown): Usage | null {
  const parts = new UsageParts();
  parts.add(raw);
  return parts.read();
}

/** Terms that mean the standard price. */
const standardTerms: ReadonlySet<string> = new Set([
  'auto',
  'default',
  'standard',
  'standard_only',
  'on_demand',
  'global',
  'not_available',
  'unspecified',
]);

const maxTermLength = 64;

/**
 * Collects usage that arrives in parts. Counts are cumulative: a later count replaces an earlier one,
 * except for 0, which some providers send after the real count.
 */
export class UsageParts {
  #input: number | null = null;
  #output: number | null = null;
  #total: number | null = null;
  readonly #details: Record<string, number> = {};
  readonly #terms = new Map<string, string>();
  #tier: unknown = null;
  #iterations: Iterations | null = null;
  #calls: Readonly<Partial<Record<DetailName, number>>> = {};
  #isSpoiled = false;

  add(raw: unknown): void {
    if (!isObject(raw)) return;
    // One implausible count discards all of the usage: half of it would have a wrong price.
    this.#isSpoiled ||= countNames.some((name) => isNoCount(raw[name]));
    const input = countOf(raw['prompt_tokens']) ?? countOf(raw['input_tokens']);
    const output = countOf(raw['completion_tokens']) ?? countOf(raw['output_tokens']);
    const total = countOf(raw['total_tokens']);
    this.#input = latest(this.#input, input);
    this.#output = latest(this.#output, output);
    // An earlier total does not cover later counts.
    const isOutdated = !total && ((input ?? 0) > 0 || (output ?? 0) > 0);
    this.#total = isOutdated ? null : latest(this.#total, total);
    for (const [name, value] of readDetails(raw)) {
      this.#details[name] = latest(this.#details[name] ?? null, value) ?? value;
    }
    for (const name of ['service_tier', 'speed', 'inference_geo']) this.#term(name, raw[name]);
    const credit = raw['fallback_credit'];
    if (isObject(credit) && isObject(credit['status'])) {
      if (credit['status']['type'] === 'redeemed') this.#term('fallback_credit', 'redeemed');
    }
    this.#iterations = readIterations(raw['iterations']) ?? this.#iterations;
  }

  /** Takes the service tier that the answer has outside its usage. */
  tier(serviceTier: unknown): void {
    // Streams repeat it in every chunk.
    if (serviceTier === this.#tier) return;
    this.#tier = serviceTier;
    this.#term('service_tier', serviceTier);
  }

  /** Takes the tool calls seen in the answer so far; counts in its usage take precedence. */
  calls(counts: Readonly<Partial<Record<DetailName, number>>>): void {
    this.#calls = counts;
  }

  /** Returns the usage so far; null if it has neither tokens nor searches. */
  read(): Usage | null {
    if (this.#isSpoiled) return null;
    const isCounted = this.#input !== null || this.#output !== null || this.#total !== null;
    if (!isCounted && this.#details['search_units'] === undefined) return null;
    const extra = this.#iterations;
    const input = plus(this.#input, extra?.input);
    const output = plus(this.#output, extra?.output);
    const sum = input !== null && output !== null ? input + output : null;
    const details = { ...this.#details };
    for (const [name, value] of Object.entries({ ...this.#calls, ...extra?.details })) {
      if (value > 0) details[name] ??= value;
    }
    for (const name of ['cached_tokens', 'cache_write_tokens', 'cache_write_1h_tokens'] as const) {
      const more = extra?.details[`compaction_${name}`] ?? 0;
      if (more > 0) details[name] = (details[name] ?? 0) + more;
    }
    const terms = Array.from(this.#terms, ([name, value]) => `${name} ${value}`);
    return {
      inputTokens: input,
      outputTokens: output,
      totalTokens: plus(this.#total, (extra?.input ?? 0) + (extra?.output ?? 0)) ?? sum,
      details,
      ...(terms.length > 0 && { terms }),
    };
  }

  #term(name: string, value: unknown): void {
    if (typeof value !== 'string' || value === '') return;
    // The last value wins: a stream may begin with the requested tier.
    if (standardTerms.has(value)) this.#terms.delete(name);
    else this.#terms.set(name, value.slice(0, maxTermLength));
  }
}

function latest(before: number | null, now: number | null): number | null {
  return now === null || (now === 0 && before !== null) ? before : now;
}

function plus(value: number | null, more = 0): number | null {
  return value === null ? null : value + more;
}
