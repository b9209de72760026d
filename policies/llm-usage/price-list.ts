import { calcPrice } from '@pydantic/genai-prices';
import type { Price, RateName, Rates } from './pricing.ts';

/** Which call is to be priced. */
export interface Priced {
  /** The provider's name, as the operator gave it. */
  readonly provider: string;
  readonly model: string | null;
  readonly requestedModel: string | null;
}

/** A price, and what it is listed under. */
interface Listed extends Price {
  readonly name: string;
}

/** The names of the package for the rates that it may list. */
const builtInNames: Readonly<Record<RateName, string>> = {
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
};

/** Some prices go by the hour, so nothing is remembered for long. */
const rememberMs = 60_000;
const maxRemembered = 1000;

/**
 * List prices: the operator's own, else the list of @pydantic/genai-prices, which is in the package
 * and asks nobody. Looked up by model, then requested model, then the longest listed beginning of
 * either; of two as long the operator's.
 */
export class PriceList {
  readonly #own: ReadonlyMap<string, Rates>;
  readonly #now: () => number;
  readonly #remembered = new Map<string, Price | null>();
  #since = 0;

  constructor(own: Readonly<Record<string, Rates>>, now: () => number = Date.now) {
    this.#own = new Map(Object.entries(own));
    this.#now = now;
  }

  /** Null where neither list knows the model. */
  find(priced: Priced): Price | null {
    const now = this.#now();
    if (now - this.#since > rememberMs || this.#remembered.size >= maxRemembered) {
      this.#remembered.clear();
      this.#since = now;
    }
    const key = JSON.stringify([priced.provider, priced.model, priced.requestedModel]);
    let price = this.#remembered.get(key);
    if (price === undefined) {
      price = this.#lookUp(priced, new Date(now));
      this.#remembered.set(key, price);
    }
    return price;
  }

  #lookUp({ provider, model, requestedModel }: Priced, at: Date): Price | null {
    const names = [model, requestedModel].filter((name) => name !== null);
    for (const name of names) {
      const own = this.#own.get(name);
      if (own !== undefined) return flat(name, own);
    }
    const ownPrefix = longest(names.map((name) => this.#prefixOf(name)));
    const builtIn = firstOf(names, (name) => builtInPrice(name, provider, at));
    // Of a family that the operator prices, a member that is listed by itself has its own price.
    if (ownPrefix === null) {
      return builtIn ?? firstOf(names, (name) => builtInPrefix(name, provider, at));
    }
    return builtIn !== null && builtIn.name.length > ownPrefix.name.length ? builtIn : ownPrefix;
  }

  #prefixOf(name: string): Listed | null {
    const found = [...this.#own].filter(([listed]) => name.startsWith(listed));
    return longest(found.map(([listed, rates]) => flat(listed, rates)));
  }
}

function flat(name: string, rates: Rates): Listed {
  return { name, rates: () => rates };
}

function longest(found: readonly (Listed | null)[]): Listed | null {
  return found.reduce(
    (best, one) => (one !== null && one.name.length > (best?.name.length ?? -1) ? one : best),
    null,
  );
}

function firstOf(names: readonly string[], find: (name: string) => Listed | null): Listed | null {
  for (const name of names) {
    const found = find(name);
    if (found !== null) return found;
  }
  return null;
}

/** Names come from outside; no model has a longer one. */
const maxNameLength = 256;

/** Who is asked for a model that the operator's provider does not have, after those whose names are alike. */
const wellKnown = ['openai', 'anthropic', 'google', 'mistral', 'cohere', 'openrouter'];

/** By the provider where the list knows it, else by whoever has models of that name. */
function builtInPrice(name: string, provider: string, at: Date): Listed | null {
  if (name.length > maxNameLength) return null;
  for (const providerId of [provider, '', ...wellKnown]) {
    const found = calcPrice({}, name, { providerId, timestamp: at });
    if (found === null) continue;
    const { model, model_price: prices } = found;
    const isTiered = Object.values(prices).some((price) => typeof price === 'object');
    if (!isTiered) return flat(model.id, ratesOf(prices, 0));
    return { name: model.id, rates: (inputTokens) => ratesOf(prices, inputTokens) };
  }
  return null;
}

/** The longest beginning of the name, cut where a part of it ends, that is listed. */
function builtInPrefix(name: string, provider: string, at: Date): Listed | null {
  const ends = [...name.slice(0, maxNameLength).matchAll(/[-:@.]/g)].map(({ index }) => index);
  return firstOf(
    ends.toReversed().map((end) => name.slice(0, end)),
    (beginning) => builtInPrice(beginning, provider, at),
  );
}

type BuiltInPrices = NonNullable<ReturnType<typeof calcPrice>>['model_price'];

function ratesOf(prices: BuiltInPrices, inputTokens: number): Rates {
  const rates: Partial<Record<RateName, number>> = {};
  for (const [name, listed] of Object.entries(builtInNames) as [RateName, string][]) {
    const price = prices[listed];
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
