import type { CostOf } from './appraiser.ts';
import type { EvictionKind } from './eviction.ts';
import type { Buckets } from './key-table.ts';
import type { Codec } from './squeezer.ts';

export interface BoundedStoreOptions {
  /** What all entries together may take, in bytes. */
  readonly maxBytes: number;
  /** What goes when there is no room; default: `worth`. */
  readonly eviction?: EvictionKind;
  /** What an answer costs at list price, in USD; null where that is not known. */
  readonly costOf?: CostOf;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** What a kind of store adds to the options. */
export interface TableOptions extends BoundedStoreOptions {
  /** Where its table of keys is. */
  readonly buckets: Buckets;
  /** What an entry takes beside its bytes and its key's. */
  readonly overheadBytes: number;
  /** Makes bodies smaller; null where they are kept as they are. */
  readonly codec: Codec | null;
}
