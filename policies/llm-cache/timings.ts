import type { Counts, OutcomeName } from './stats.ts';

/** Receives durations, in seconds. */
export interface Timings {
  /** Reading an entry from a store. */
  lookup(store: string, seconds: number): void;
  /** Writing an entry to a store. */
  store(store: string, seconds: number): void;
  /** From a request's arrival at the cache to the first byte of its response. */
  firstByte(tally: Counts, outcome: OutcomeName, seconds: number): void;
}
