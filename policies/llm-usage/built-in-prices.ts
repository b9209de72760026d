import { calcPrice } from '@pydantic/genai-prices';
import { mayList } from './listed-names.ts';
import type { Price, RateName, Rates } from './rates.ts';

/** A price, and what it is listed under. */
export interface Listed extends Price {
  readonly name: string;
}

/** The names of the package for the rates that it may list. */
const builtInNames: Readonly<Partial<Record<RateName, string>>> = {
  input: 'input_mtok',
  cachedInput: 'cache_read_mtok',
  cacheWrite: 'cache_write_mtok',
  cacheWrite1h: 'cache_write_1h_mtok',
  inputAudio: 'input_audio_mtok',
  inputImage: 'input_image_mtok',
  output: 'output_mtok',
  reasoning: 'output_reasoning_mtok',
  outputAudio: 'output_audio_mtok',
  outputImage: 'output_image_mtok',
  citation: 'output_citation_mtok',
  search: 'rerank_searches_kcount',
  webSearch: 'web_searches_kcount',
  fileSearch: 'storage_searches_kcount',
  codeExecution: 'code_executions_kcount',
};

/**
 * Terms that a provider prices at one multiple of its list price, for all models and all tokens.
 * `flex`: https://platform.openai.com/docs/guides/flex-processing, https://console.groq.com/docs/flex-processing
 * `inference_geo us`: https://platform.claude.com/docs/en/about-claude/pricing
 */
const factors: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  openai: { 'service_tier flex': 0.5, 'service_tier batch': 0.5 },
  anthropic: { 'service_tier batch': 0.5, 'inference_geo us': 1.1 },
  groq: { 'service_tier flex': 1 },
};

/** Who is asked for a model that the operator's provider does not have, after those whose names are alike. */
const wellKnown = ['openai', 'anthropic', 'google', 'mistral', 'cohere', 'openrouter'];

/** By the provider where the list knows it, else by any that has models of that name. */
export function builtInPrice(name: string, provider: string, at: Date): Listed | null {
  for (const providerId of new Set([provider, '', ...wellKnown])) {
    if (!mayList(providerId, name)) continue;
    const found = calcPrice({}, name, { providerId, timestamp: at });
    if (found !== null) return listed(found);
  }
  return null;
}

/** No listed name has as many parts, and what is longer is a caller's addition to it. */
const maxParts = 16;

/** The longest beginning of the name, cut where a part of it ends, that is listed. */
export function builtInPrefix(name: string, provider: string, at: Date): Listed | null {
  const ends = Array.from(name.matchAll(/[-:@.]/g), ({ index }) => index).slice(0, maxParts);
  for (const end of ends.toReversed()) {
    const found = builtInPrice(name.slice(0, end), provider, at);
    if (found !== null) return found;
  }
  return null;
}

type Found = NonNullable<ReturnType<typeof calcPrice>>;

function listed({ model, model_price: prices, provider }: Found): Listed {
  const isTiered = Object.values(prices).some((price) => typeof price === 'object');
  const rates = ratesOf(prices, 0);
  return {
    name: model.id,
    rates: isTiered ? (inputTokens) => ratesOf(prices, inputTokens) : () => rates,
    factors: factors[provider.id] ?? {},
    // It has the highest only of those that a provider may take for a request.
    ...(prices['requests_kcount'] !== undefined && { without: 'the fee of the request' }),
  };
}

function ratesOf(prices: Found['model_price'], inputTokens: number): Rates {
  const rates: Partial<Record<RateName, number>> = {};
  for (const [name, listedAs] of Object.entries(builtInNames) as [RateName, string][]) {
    const price = prices[listedAs];
    if (typeof price === 'number') rates[name] = price;
    else if (price !== undefined) {
      // The tier that the whole input reaches is the price of all of it.
      const reached = price.tiers.filter(({ start }) => inputTokens > start);
      const [tier] = reached.toSorted((one, other) => other.start - one.start);
      rates[name] = tier?.price ?? price.base;
    }
  }
  return rates;
}
