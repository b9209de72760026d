/** One request of a trace: which question, and what its answer is. */
export interface Ask {
  /** Milliseconds since the trace began. */
  readonly at: number;
  readonly key: string;
  /** Of the answer's body. */
  readonly bytes: number;
  /** USD that the provider takes for it. */
  readonly cost: number;
}

export interface Trace {
  readonly name: string;
  /** The law that it follows, or where it comes from. */
  readonly law: string;
  readonly asks: readonly Ask[];
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Log-normal numbers, of a normal law with that mean and deviation. */
export function logNormal(random: () => number, mean: number, deviation: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.exp(mean + deviation * normal);
}

/** Ranks by Zipf's law: rank r of `count`, from 0, is drawn in proportion to 1 / (r + 1) ^ exponent. */
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
