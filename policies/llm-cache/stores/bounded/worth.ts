/** What the next hit on an entry saves. */
export interface Worth {
  /** In USD. Without a list price, an estimate from the tokens or else from the seconds. */
  readonly usd: number;
  /** Whether `usd` is a list price, not an estimate. */
  readonly isPriced: boolean;
}

/**
 * A moving geometric mean, for numbers that differ by orders of magnitude. It weighs about the
 * newest hundred numbers.
 */
export class RunningMean {
  #logarithm: number;

  constructor(first: number) {
    this.#logarithm = Math.log2(first);
  }

  get value(): number {
    return 2 ** this.#logarithm;
  }

  /** To the base 2. */
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

// A worth takes 16 bits. The lowest says whether it is a price. The others hold the logarithm, which
// is exact to a seventh of a percent.
const lowestLogarithm = -40;
const stepsPerOctave = 512;
const highestStep = 0x7fff;

/** Packs a worth into 16 bits. */
export function packWorth({ usd, isPriced }: Worth): number {
  const step = usd > 0 ? Math.round((Math.log2(usd) - lowestLogarithm) * stepsPerOctave) : 0;
  return (Math.max(0, Math.min(highestStep, step)) << 1) | (isPriced ? 1 : 0);
}

/** Returns the logarithm of a packed worth, to the base 2. */
export function logOfWorth(packed: number): number {
  return (packed >> 1) / stepsPerOctave + lowestLogarithm;
}

/** Returns a packed worth in USD. A worth below the packed range is 0. */
export function usdOfWorth(packed: number): number {
  return packed >> 1 === 0 ? 0 : 2 ** logOfWorth(packed);
}

/** Whether a packed worth is a list price. */
export function hasPrice(packed: number): boolean {
  return (packed & 1) === 1;
}
