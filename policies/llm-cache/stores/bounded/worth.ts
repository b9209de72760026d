import type { EntryHead } from '../../entry.ts';

/** What the next hit of an entry saves. */
export interface Worth {
  /** USD; where no price is known, what it would be by its tokens, or else by its seconds. */
  readonly usd: number;
  /** Whether that is a list price. */
  readonly isPriced: boolean;
}

/** The list price of an answer in USD; null where it is not known. */
export type CostOf = (head: EntryHead) => number | null;

/** Until the store has seen prices: 2 USD a million tokens, a hundred tokens a second. */
const firstUsdPerToken = 2e-6;
const firstUsdPerSecond = 2e-4;

/**
 * Says what entries are worth, in one unit, so that those with a price and those without one can be
 * told apart by more than that: what has no price counts as the answers do that have one.
 */
export class Appraiser {
  readonly #costOf: CostOf;
  readonly #usdPerToken = new RunningMean(firstUsdPerToken);
  readonly #usdPerSecond = new RunningMean(firstUsdPerSecond);

  constructor(costOf: CostOf) {
    this.#costOf = costOf;
  }

  /** `seconds` is what the provider took; 0 where that is not known. */
  appraise(head: EntryHead, seconds: number): Worth {
    const tokens = tokensOf(head);
    const cost = this.#priceOf(head);
    if (cost !== null) {
      if (tokens > 0) this.#usdPerToken.add(cost / tokens);
      if (seconds > 0) this.#usdPerSecond.add(cost / seconds);
      return { usd: cost, isPriced: true };
    }
    const usd =
      tokens > 0 ? tokens * this.#usdPerToken.value : (seconds || 1) * this.#usdPerSecond.value;
    return { usd, isPriced: false };
  }

  /** A price list that fails costs an order, and no answer. */
  #priceOf(head: EntryHead): number | null {
    try {
      const cost = this.#costOf(head);
      return cost !== null && cost >= 0 && cost < Infinity ? cost : null;
    } catch {
      return null;
    }
  }
}

function tokensOf({ usage }: EntryHead): number {
  if (usage === null) return 0;
  return usage.totalTokens ?? (usage.inputTokens ?? 0) + (usage.outputTokens ?? 0);
}

/** Of numbers that lie orders of magnitude apart; the newest hundred or so count. */
export class RunningMean {
  #logarithm: number;

  constructor(first: number) {
    this.#logarithm = Math.log2(first);
  }

  get value(): number {
    return 2 ** this.#logarithm;
  }

  get logarithm(): number {
    return this.#logarithm;
  }

  add(value: number): void {
    if (value > 0 && value < Infinity) this.addLogarithm(Math.log2(value));
  }

  addLogarithm(logarithm: number): void {
    this.#logarithm += (logarithm - this.#logarithm) / 128;
  }
}

// In 16 bits: the lowest says whether it is a price, the rest is the logarithm, to a seventh of a percent.
const lowest = -40;
const stepsPerOctave = 512;
const highestStep = 0x7fff;

export function packWorth({ usd, isPriced }: Worth): number {
  const step = usd > 0 ? Math.round((Math.log2(usd) - lowest) * stepsPerOctave) : 0;
  return (Math.max(0, Math.min(highestStep, step)) << 1) | (isPriced ? 1 : 0);
}

/** The logarithm of the worth, to the base 2. */
export function logOfWorth(packed: number): number {
  return (packed >> 1) / stepsPerOctave + lowest;
}

/** In USD, for a sum of what has a price; what is next to nothing is nothing. */
export function usdOfWorth(packed: number): number {
  return packed >> 1 === 0 ? 0 : 2 ** logOfWorth(packed);
}

export function isPriced(packed: number): boolean {
  return (packed & 1) === 1;
}
