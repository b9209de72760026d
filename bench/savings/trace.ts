/** One request of a trace: its question, and the size and cost of the answer. */
export interface Ask {
  /** Milliseconds since the trace began. */
  readonly at: number;
  readonly key: string;
  /** The size of the answer's body. */
  readonly bytes: number;
  /** What the provider charges for it, in USD. */
  readonly cost: number;
}

export interface Trace {
  readonly name: string;
  /** The law of the trace, or its origin. */
  readonly law: string;
  readonly asks: readonly Ask[];
}

/** Returns a generator of numbers in [0, 1), the same in every run (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws a log-normal number from a normal distribution with that mean and deviation. */
export function logNormal(random: () => number, mean: number, deviation: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(mean + deviation * normal);
}

/** Returns a generator of ranks below `count`, in proportion to 1 / (rank + 1) ^ exponent (Zipf's law). */
export function zipf(random: () => number, count: number, exponent: number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) sums[rank] = sum += (rank + 1) ** -exponent;
  return () => {
    const wanted = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
