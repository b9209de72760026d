import type { Usage } from '../shared/usage.ts';
import type { RateName } from './rates.ts';

/** How a provider counts tokens. */
export interface Counting {
  /**
   * Whether cached and cache-write tokens come on top of the input tokens instead of being part of
   * them.
   */
  readonly cacheApart: boolean;
}

/** A number of tokens charged at the same rate. */
export interface Part {
  readonly count: number;
  /** The rates that may apply, in order of preference. */
  readonly names: readonly RateName[];
  /** The part's name in caveats. */
  readonly label: string;
}

export interface Tokens {
  readonly input: { readonly all: number; readonly parts: readonly Part[] };
  readonly output: readonly Part[];
  /** How ambiguous counts were interpreted. */
  readonly caveats: readonly string[];
}

/** Splits the usage into disjoint kinds of tokens; null if it has no counts. */
export function readTokens(usage: Usage, { cacheApart }: Counting): Tokens | null {
  const { inputTokens, outputTokens, totalTokens, details } = usage;
  if (inputTokens === null && outputTokens === null && totalTokens === null) return null;
  const input = inputTokens ?? Math.max(0, (totalTokens ?? 0) - (outputTokens ?? 0));
  const output = outputTokens ?? Math.max(0, (totalTokens ?? input) - input);
  const of = (name: string) => details[name] ?? 0;

  const cached = of('cached_tokens');
  const written = of('cache_write_tokens');
  const hourly = Math.min(of('cache_write_1h_tokens'), written);
  // If cached tokens exceed the input, they cannot be part of it.
  const isApart = cacheApart || cached + written > input;
  const uncached = isApart ? input : input - cached - written;
  const audio = Math.min(of('input_audio_tokens'), uncached);
  const images = Math.min(of('input_image_tokens'), uncached - audio);

  const caveats: string[] = [];
  if (totalTokens !== null && totalTokens < input + output) {
    caveats.push('the total is less than the sum of its parts, which is priced');
  }
  const reasoned = of('reasoning_tokens');
  const onTop = cached + written;
  let beyond = Math.max(0, (totalTokens ?? 0) - input - output);
  if (onTop > 0 && beyond >= onTop && beyond !== reasoned) {
    // The total has them on top of the input, which is right if the provider counts them apart.
    if (!isApart)
      caveats.push(
        'the cached tokens are priced as part of the input, although the total has them on top',
      );
    beyond -= onTop;
  } else if (isApart && !cacheApart) {
    caveats.push('the cached tokens exceed the input and are priced on top of it');
  }
  // xAI counts reasoning apart from the completion but in the total; Perplexity counts it in neither.
  if (reasoned > output && beyond < reasoned) {
    caveats.push('reasoning_tokens exceed the output and are priced on top of it');
    beyond = reasoned;
  } else if (beyond > 0 && beyond !== reasoned) {
    // Gemini counts its thinking only in the total.
    caveats.push(`${beyond} tokens that only the total includes are priced as output`);
  }
  const produced = output + beyond;
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
    caveats,
  };
}

/** The rates for each kind of tokens; the first that the price has applies. */
const rateNames = {
  input_tokens: ['input'],
  cached_tokens: ['cachedInput', 'input'],
  cache_write_tokens: ['cacheWrite', 'input'],
  cache_write_1h_tokens: ['cacheWrite1h', 'cacheWrite', 'input'],
  // Audio never costs as little as text, so it has no fallback rate.
  input_audio_tokens: ['inputAudio'],
  input_image_tokens: ['inputImage', 'input'],
  output_tokens: ['output'],
  reasoning_tokens: ['reasoning', 'output'],
  output_audio_tokens: ['outputAudio'],
  output_image_tokens: ['outputImage', 'output'],
} as const satisfies Readonly<Record<string, readonly RateName[]>>;

/** Keeps the kinds with a count other than 0. */
function partsOf(counts: Partial<Record<keyof typeof rateNames, number>>): Part[] {
  const parts: Part[] = [];
  let label: keyof typeof rateNames;
  for (label in counts) {
    const count = counts[label] ?? 0;
    if (count !== 0) parts.push({ count, names: rateNames[label], label });
  }
  return parts;
}
