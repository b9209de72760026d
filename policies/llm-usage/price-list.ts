import { Recent } from '../shared/recent.ts';
import { builtInPrefix, builtInPrice, type Listed } from './built-in-prices.ts';
import type { Price, Rates } from './rates.ts';

/** The call to be priced. */
export interface Priced {
  /** The provider's name, as the operator wrote it. */
  readonly provider: string;
  readonly model: string | null;
  readonly requestedModel: string | null;
}

/** Some prices depend on the hour, so lookups are remembered only briefly. */
const rememberMs = 60_000;
const maxRemembered = 1000;

const maxNameLength = 256;

/**
 * List prices: the operator's own, else those that @pydantic/genai-prices bundles, without network
 * access. A lookup tries the model, then the requested model, then the longest listed prefix of
 * either; the operator's price wins a tie.
 */
export class PriceList {
  readonly #own: ReadonlyMap<string, Rates>;
  readonly #now: () => number;
  #remembered = new Recent<{ price: Price | null }>(maxRemembered);
  #since = 0;

  constructor(own: Readonly<Record<string, Rates>>, now: () => number = Date.now) {
    this.#own = new Map(Object.entries(own));
    this.#now = now;
  }

  /** Returns null if neither list has the model. */
  find(priced: Priced): Price | null {
    const now = this.#now();
    // Math.abs, since the clock may be set back.
    if (Math.abs(now - this.#since) > rememberMs) {
      this.#remembered = new Recent(maxRemembered);
      this.#since = now;
    }
    const { provider } = priced;
    const [model, requestedModel] = [truncate(priced.model), truncate(priced.requestedModel)];
    const key = JSON.stringify([provider, model, requestedModel]);
    let found = this.#remembered.get(key);
    if (found === undefined) {
      // A missing price is remembered too: that lookup takes the longest.
      found = { price: this.#lookUp(provider, [model, requestedModel], new Date(now)) };
      this.#remembered.set(key, found);
    }
    return found.price;
  }

  #lookUp(provider: string, either: readonly (string | null)[], at: Date): Price | null {
    const names = either.filter((name) => name !== null);
    for (const name of names) {
      const own = this.#own.get(name);
      if (own !== undefined) return flatPrice(name, own);
    }
    const ownPrefix = longest(names.map((name) => this.#prefixOf(name)));
    const builtIn = firstOf(names, (name) => builtInPrice(name, provider, at));
    // A built-in price for the exact model beats the operator's price for its family.
    if (ownPrefix === null) {
      return builtIn ?? firstOf(names, (name) => builtInPrefix(name, provider, at));
    }
    return builtIn !== null && builtIn.name.length > ownPrefix.name.length ? builtIn : ownPrefix;
  }

  #prefixOf(name: string): Listed | null {
    const found = [...this.#own].filter(([listed]) => name.startsWith(listed));
    return longest(found.map(([listed, rates]) => flatPrice(listed, rates)));
  }
}

function flatPrice(name: string, rates: Rates): Listed {
  return { name, rates: () => rates };
}

/** Clients choose the names; no real model has a longer one. */
function truncate(name: string | null): string | null {
  return name === null ? null : name.slice(0, maxNameLength);
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
