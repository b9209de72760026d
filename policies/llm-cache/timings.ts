import type { Counts, OutcomeName } from './stats.ts';

/** Told how long things took, in seconds. */
export interface Timings {
  /** A store was asked for an entry. */
  lookup(store: string, seconds: number): void;
  /** A store was given an entry. */
  store(store: string, seconds: number): void;
  /** From a request's arrival at the cache to the first byte of its response. */
  firstByte(tally: Counts, outcome: OutcomeName, seconds: number): void;
}
