import type { RateSettings } from '../../schemas/plugin.ts';
import type { Usage } from '../shared/usage.ts';

/** USD per million tokens; a kind without a rate of its own is not there. */
export type Rates = Readonly<Partial<Record<RateName, number>>>;

export type RateName = keyof RateSettings;

/** What one model costs. A price may depend on how long the input is. */
export interface Price {
  rates(inputTokens: number): Rates;
}

export interface Costs {
  /** USD; null where it is not known. */
  readonly input: number | null;
  readonly output: number | null;
  readonly total: number | null;
  /** What is not in the costs, or why they are null. */
  readonly caveat: string | null;
}

/** How a provider counts. */
export interface Counting {
  /** Cached and cache-write tokens come on top of the input tokens, instead of being among them. */
  readonly cacheApart: boolean;
}

/** Units that cost something beside tokens, and are in no rate. */
const unpriced = [
  'citation_tokens',
  'input_audio_seconds',
  'web_search_requests',
  'sources_used',
  'server_tool_calls',
] as const;

/** Nothing is known, for the reason given. */
export function unknownCosts(caveat: string): Costs {
  return { input: null, output: null, total: null, caveat };
}

/** What `usage` costs at `price`. What has no price makes the sum that it is part of null. */
export function costsOf(usage: Usage, price: Price, counting: Counting): Costs {
  const tokens = readTokens(usage, counting);
  if (tokens === null) return unknownCosts('the answer tells no usage');
  const rates = price.rates(tokens.input.all);
  const missing: string[] = [];
  const sum = (parts: readonly Part[]): number | null => {
    let micro: number | null = 0;
    for (const { count, names, told } of parts) {
      const name = names.find((one) => rates[one] !== undefined);
      const rate = name === undefined ? undefined : rates[name];
      if (rate === undefined) missing.push(told);
      micro = rate === undefined || micro === null ? null : micro + count * rate;
    }
    return micro;
  };
  const input = sum(tokens.input.parts);
  const output = sum(tokens.output);
  const beside = unpriced.filter((name) => (usage.details[name] ?? 0) > 0);
  const caveats = [
    ...missing.map((name) => `no price for ${name}`),
    ...beside.map((name) => `without ${name}`),
  ];
  return {
    input: inDollars(input),
    output: inDollars(output),
    total: input === null || output === null ? null : inDollars(input + output),
    caveat: caveats.length > 0 ? caveats.join('; ') : null,
  };
}

interface Part {
  readonly count: number;
  readonly names: readonly RateName[];
  /** What the caveat calls it. */
  readonly told: string;
}

interface Tokens {
  readonly input: { readonly all: number; readonly parts: readonly Part[] };
  readonly output: readonly Part[];
}

/** The tokens by kind, none of them twice; null where neither input nor output is known. */
function readTokens(usage: Usage, { cacheApart }: Counting): Tokens | null {
  const { inputTokens, outputTokens, totalTokens, details } = usage;
  if (inputTokens === null && outputTokens === null && totalTokens === null) return null;
  const input = inputTokens ?? Math.max(0, (totalTokens ?? 0) - (outputTokens ?? 0));
  const output = outputTokens ?? Math.max(0, (totalTokens ?? input) - input);
  const of = (name: string) => details[name] ?? 0;

  const cached = of('cached_tokens');
  const written = of('cache_write_tokens');
  const hourly = Math.min(of('cache_write_1h_tokens'), written);
  // More than all of the input cannot be part of it.
  const isApart = cacheApart || cached + written > input;
  const uncached = isApart ? input : input - cached - written;
  const audio = Math.min(of('input_audio_tokens'), uncached);
  const images = Math.min(of('input_image_tokens'), uncached - audio);

  const reasoned = of('reasoning_tokens');
  // xAI counts reasoning beside the completion, and in the total.
  const isBeside = reasoned > 0 && totalTokens === input + output + reasoned;
  const produced = isBeside ? output + reasoned : output;
  const spoken = Math.min(of('output_audio_tokens'), produced);
  const drawn = Math.min(of('output_image_tokens'), produced - spoken);
  const reasoning = Math.min(reasoned, produced - spoken - drawn);

  return {
    input: {
      all: isApart ? input + cached + written : input,
      parts: partsOf({
        input_tokens: uncached - audio - images,
        cached_tokens: cached,
        cache_write_tokens: written - hourly,
        cache_write_1h_tokens: hourly,
        input_audio_tokens: audio,
        input_image_tokens: images,
      }),
    },
    output: partsOf({
      output_tokens: produced - spoken - drawn - reasoning,
      reasoning_tokens: reasoning,
      output_audio_tokens: spoken,
      output_image_tokens: drawn,
    }),
  };
}

/** The rates that a kind of tokens may go by, the first that is there. */
const rateNames = {
  input_tokens: ['input'],
  cached_tokens: ['cachedInput', 'input'],
  cache_write_tokens: ['cacheWrite', 'input'],
  cache_write_1h_tokens: ['cacheWrite1h', 'cacheWrite', 'input'],
  // Sound is never as cheap as text: without a rate of its own it has none.
  input_audio_tokens: ['inputAudio'],
  input_image_tokens: ['inputImage', 'input'],
  output_tokens: ['output'],
  reasoning_tokens: ['reasoning', 'output'],
  output_audio_tokens: ['outputAudio'],
  output_image_tokens: ['outputImage', 'output'],
} as const satisfies Readonly<Record<string, readonly RateName[]>>;

/** Those of which there are any. */
function partsOf(counts: Partial<Record<keyof typeof rateNames, number>>): Part[] {
  const parts: Part[] = [];
  let told: keyof typeof rateNames;
  for (told in counts) {
    const count = counts[told] ?? 0;
    if (count !== 0) parts.push({ count, names: rateNames[told], told });
  }
  return parts;
}

/** From millionths, to a trillionth of a dollar: what doubles add beyond that is noise. */
function inDollars(micro: number | null): number | null {
  return micro === null ? null : Math.round(micro * 1e6) / 1e12;
}
