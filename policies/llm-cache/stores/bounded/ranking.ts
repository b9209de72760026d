import { logOfWorth, RunningMean } from './worth.ts';

/**
 * What decides which entries are evicted first. `worth`: what an entry saves per byte. `blend`: half
 * of that and half the time of its last use, for requests that come in bursts. `lru`: the time of its
 * last use alone.
 */
export type Ranking = 'worth' | 'blend' | 'lru';

/** Above 1, an entry that saves twice as much stays more than twice as long. That saves more on most traces (decision 12). */
const exponent = 1.25;
/** An entry requested once is seldom requested again, so it counts as a tenth of its worth. */
const onceLogarithm = Math.log2(1 / 10);

/** Computes the values by which entries are ordered. A store shares it with its shadows, so that they use one mean. */
export class Rankings {
  /** The mean saving per byte. Values are multiples of it. */
  readonly #mean = new RunningMean(1e-7);

  /** Adds a stored entry to the mean. `worth` is packed. */
  learn(worth: number, bytes: number): void {
    this.#mean.addLogarithm(logOfWorth(worth) - Math.log2(bytes));
  }

  /** Returns the value of an entry, as a logarithm to the base 2. `asked` is its request count. */
  value(ranking: Ranking, worth: number, bytes: number, asked: number): number {
    if (ranking === 'lru') return 0;
    const perByte = logOfWorth(worth) - Math.log2(bytes) - this.#mean.logarithm;
    if (ranking === 'blend') return (perByte + Math.log2(asked)) / 2;
    if (asked === 1) return exponent * (perByte + onceLogarithm);
    return exponent * perByte + Math.log2(asked);
  }
}
