import { calcPrice } from '@pydantic/genai-prices';
import { mayList } from './listed-names.ts';
import type { Price, RateName, Rates } from './rates.ts';

/** A price and the model name that it is listed under. */
export interface Listed extends Price {
  readonly name: string;
}

/** Maps our rate names to those of @pydantic/genai-prices. */
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
 * Terms for which a provider charges a fixed multiple of its list price, for all models and tokens.
 * `flex`: https://platform.openai.com/docs/guides/flex-processing, https://console.groq.com/docs/flex-processing
 * `inference_geo us`: https://platform.claude.com/docs/en/about-claude/pricing
 */
const factors: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  openai: { 'service_tier flex': 0.5, 'service_tier batch': 0.5 },
  anthropic: { 'service_tier batch': 0.5, 'inference_geo us': 1.1 },
  groq: { 'service_tier flex': 1 },
};

/** Fallback providers for a model that neither the operator's provider nor name matching finds. */
const wellKnown = ['openai', 'anthropic', 'google', 'mistral', 'cohere', 'openrouter'];

/** Looks the model up under its provider, then under any provider that lists such a name. */
export function builtInPrice(name: string, provider: string, at: Date): Listed | null {
  for (const providerId of new Set([provider, '', ...wellKnown])) {
    if (!mayList(providerId, name)) continue;
    const found = calcPrice({}, name, { providerId, timestamp: at });
    if (found !== null) return listed(found);
  }
  return null;
}

/** No listed name has more parts than this; anything beyond is a caller's suffix. */
const maxParts = 16;

/** Finds the longest listed prefix of the name that ends at a part boundary. */
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
    // The list has only the highest of a provider's possible per-request fees.
    ...(prices['requests_kcount'] !== undefined && { without: 'the fee of the request' }),
  };
}

function ratesOf(prices: Found['model_price'], inputTokens: number): Rates {
  const rates: Partial<Record<RateName, number>> = {};
  for (const [name, listedAs] of Object.entries(builtInNames) as [RateName, string][]) {
    const price = prices[listedAs];
    if (typeof price === 'number') rates[name] = price;
    else if (price !== undefined) {
      // The highest tier that the input reaches applies to all tokens.
      const reached = price.tiers.filter(({ start }) => inputTokens > start);
      const [tier] = reached.toSorted((one, other) => other.start - one.start);
      rates[name] = tier?.price ?? price.base;
    }
  }
  return rates;
}
