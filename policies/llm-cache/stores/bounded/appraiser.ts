import type { EntryHead } from '../../entry.ts';
import { RunningMean, type Worth } from './worth.ts';

/** Returns the list price of an answer in USD, or null if it is unknown. */
export type CostOf = (head: EntryHead) => number | null;

/** Assumed until the store has seen prices: 2 USD per million tokens, 100 tokens per second. */
const firstUsdPerToken = 2e-6;
const firstUsdPerSecond = 2e-4;
/** What a hit on a copy saves: one round trip to the store that has the original. */
const copySeconds = 0.001;

/**
 * Appraises entries in one unit, so that priced and unpriced ones can be compared: tokens and
 * seconds of an unpriced answer count as much as those of priced answers cost on average.
 */
export class Appraiser {
  readonly #costOf: CostOf;
  readonly #usdPerToken = new RunningMean(firstUsdPerToken);
  readonly #usdPerSecond = new RunningMean(firstUsdPerSecond);

  constructor(costOf: CostOf) {
    this.#costOf = costOf;
  }

  /** `seconds` is how long the provider took, or 0 if that is unknown. */
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

  /** Appraises a copy of another store's entry: a hit on it saves a round trip, not a provider call. */
  appraiseCopy(): Worth {
    return { usd: copySeconds * this.#usdPerSecond.value, isPriced: false };
  }

  /** A price list that throws counts as no price, so that the answer is stored all the same. */
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
