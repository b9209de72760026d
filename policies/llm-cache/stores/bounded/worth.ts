/** What the next hit of an entry saves. */
export interface Worth {
  /** USD; where no price is known, what it would be by its tokens, or else by its seconds. */
  readonly usd: number;
  /** Whether that is a list price. */
  readonly isPriced: boolean;
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

export function hasPrice(packed: number): boolean {
  return (packed & 1) === 1;
}
