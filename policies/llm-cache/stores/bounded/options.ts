import type { CostOf } from './appraiser.ts';
import type { EvictionKind } from './eviction.ts';
import type { Buckets } from './key-table.ts';
import type { Codec } from './compression-queue.ts';

export interface BoundedStoreOptions {
  /** The bound on all entries together, in bytes. */
  readonly maxBytes: number;
  /** How a full store chooses what to evict. Default: `worth`. */
  readonly eviction?: EvictionKind;
  /** Returns the list price of an answer in USD, or null if it is unknown. */
  readonly costOf?: CostOf;
  /** Returns milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
}

/** The options, with what each kind of store supplies itself. */
export interface TableOptions extends BoundedStoreOptions {
  /** Holds the table of keys. */
  readonly buckets: Buckets;
  /** What an entry takes in addition to its packed bytes and its key. */
  readonly overheadBytes: number;
  /** Compresses bodies. Null keeps them uncompressed. */
  readonly codec: Codec | null;
}
