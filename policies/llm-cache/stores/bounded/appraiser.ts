import type { EntryHead } from '../../entry.ts';
import { RunningMean, type Worth } from './worth.ts';

/** The list price of an answer in USD; null where it is not known. */
export type CostOf = (head: EntryHead) => number | null;

/** Until the store has seen prices: 2 USD a million tokens, a hundred tokens a second. */
const firstUsdPerToken = 2e-6;
const firstUsdPerSecond = 2e-4;
const copySeconds = 0.001;

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

  /** A copy of what another store has saves a way to that store, and no call. */
  appraiseCopy(): Worth {
    return { usd: copySeconds * this.#usdPerSecond.value, isPriced: false };
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
