import { logOfWorth, RunningMean } from './worth.ts';

/**
 * What decides which entries go first. `worth`: what an entry saves for the bytes that it takes.
 * `blend`: half of that and half the time of its last use, for requests that come in bursts. `lru`:
 * the time of its last use alone.
 */
export type Ranking = 'worth' | 'blend' | 'lru';

/** What saves twice as much stays more than twice as long: that saves more on every trace that is not of bursts. */
const exponent = 1.25;
/** What was asked once is seldom asked again, so it saves as though it were worth a tenth. */
const onceLogarithm = Math.log2(1 / 10);

/** Compares entries; of one store and the shadows of it, so that all go by one mean. */
export class Rankings {
  /** Of what entries save a byte: the time that an entry stays is told in multiples of it. */
  readonly #mean = new RunningMean(1e-7);

  /** An entry has been stored. */
  learn(worth: number, bytes: number): void {
    this.#mean.addLogarithm(logOfWorth(worth) - Math.log2(bytes));
  }

  /** The value of an entry, as a logarithm. */
  value(ranking: Ranking, worth: number, bytes: number, asked: number): number {
    if (ranking === 'lru') return 0;
    const perByte = logOfWorth(worth) - Math.log2(bytes) - this.#mean.logarithm;
    if (ranking === 'blend') return (perByte + Math.log2(asked)) / 2;
    if (asked === 1) return exponent * (perByte + onceLogarithm);
    return exponent * perByte + Math.log2(asked);
  }
}
