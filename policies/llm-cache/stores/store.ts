import type { CachedResponse, EntryHead } from '../entry.ts';
import type { Relay } from './relay.ts';

export interface StoreStats {
  readonly type: string;
  /** Null if the store does not count them. */
  readonly entries: number | null;
  /** What the entries take, including keys and bookkeeping. Null if the store does not measure it. */
  readonly bytes: number | null;
  readonly maxBytes: number | null;
  /** Entries evicted to make room. */
  readonly evictions: number;
  readonly errors: number;
  readonly droppedWrites: number;
  /** Whether the store responds at the moment. */
  readonly healthy: boolean;
  /** What its evictions cost. Absent if the store evicts nothing. */
  readonly eviction?: EvictionStats;
}

/** How a store evicts entries, and what that costs. */
export interface EvictionStats {
  /** The current ranking of the entries. */
  readonly ranking: string;
  /** Requests for evicted entries that would still be fresh, as far as the store remembers them. */
  readonly missedHits: number;
  /** What those requests would have saved at list price, in USD. Requests without a price are left out. */
  readonly missedUsd: number;
  /** What twice the memory would have saved in addition, estimated from a sample. Null in a store too small for one. */
  readonly twiceTheMemory: { readonly hits: number; readonly usd: number } | null;
}

/** Selects the entries that meet every given condition. */
export interface EntryFilter {
  readonly namespace?: string;
  /** The model of the answer or of the request. */
  readonly model?: string;
  /** A consumer's id. */
  readonly consumer?: string;
}

/** An entry as a listing shows it. */
export interface ListedEntry {
  readonly key: string;
  readonly head: EntryHead;
  /** The size of the body: uncompressed in a memory store, as stored in Redis. */
  readonly bytes: number;
  /** Requests answered with the entry since it was stored. */
  readonly hits: number;
}

/** An entry and its key. */
export interface StoredEntry {
  readonly key: string;
  readonly entry: CachedResponse;
}

/** One page of a listing. */
export interface Page {
  /** May be fewer than the limit, even none, although more pages follow. */
  readonly entries: readonly ListedEntry[];
  /** Where the next page begins, or null at the end. */
  readonly cursor: string | null;
}

export interface PageRequest {
  readonly limit: number;
  /** The cursor of the previous page, or null for the first page. */
  readonly cursor: string | null;
}

/** Thrown when a cursor did not come from a listing of this store. */
export class UnknownCursor extends Error {
  override name = 'UnknownCursor';
}

/** Thrown when an entry exists, but the byte budget has no room for its body at the moment. */
export class NoRoom extends Error {
  override name = 'NoRoom';
  /** Counted as a bypass: it is not a fault to log. */
  readonly isReported = true;
}

/** A store of entries. Each back end has a file beside this one. */
export interface Store {
  /**
   * Resolves to the entry, or undefined on a miss, which includes expired and unreadable entries.
   * Rejects on a failure, and with NoRoom. The body is compressed only if `takesGzip` is set and the
   * body is worth sending compressed.
   */
  get(key: string, takesGzip?: boolean): Promise<CachedResponse | undefined>;
  /**
   * The synchronous form of `get`, for stores in this process. Returns null if only `get` can tell.
   * Throws on a failure.
   */
  getNow?(key: string, takesGzip?: boolean): CachedResponse | undefined | null;
  /**
   * Yields the entries that match, with their bodies, in no particular order. No hit is counted. A
   * store without it is read by `list` and `get`.
   */
  entries?(filter: EntryFilter): AsyncIterable<StoredEntry>;
  /** Resolves when all writes have completed, in a store whose `set` does not wait for them. */
  flushed?(): Promise<void>;
  /**
   * Stores the entry until its `expiresAt`, unless its key has been purged or has received a newer
   * entry since the request. `askedAt` is the time of the request by `performance.now()`, which clock
   * changes do not affect (default: now). Resolves to false if the entry is too large. Rejects on a
   * failure.
   */
  set(key: string, entry: CachedResponse, askedAt?: number): Promise<boolean>;
  /** Deletes the entry on all gateways. Resolves to whether it existed. */
  delete(key: string): Promise<boolean>;
  /** Deletes all entries that match, on all gateways, and resolves to their number. With `dryRun` it only counts them. */
  purge(filter: EntryFilter, dryRun?: boolean): Promise<number>;
  /**
   * Lists the entries that match, page by page, in no particular order. It includes every entry that
   * is stored throughout the listing, and may include those stored or removed meanwhile. Rejects with
   * an UnknownCursor, or on a failure.
   */
  list(filter: EntryFilter, page: PageRequest): Promise<Page>;
  /** Resolves to one entry as a listing shows it. No hit is counted. */
  look(key: string): Promise<ListedEntry | undefined>;
  /** Counts a hit. Never throws or waits. */
  used(key: string, entry: CachedResponse): void;
  stats(): StoreStats;
  /** Shares upstream calls among the gateways that use this store, if the store supports it. */
  readonly relay?: Relay | undefined;
  /** Releases all resources. A later use starts anew. */
  close(): Promise<void>;
}

/** The part of a store that requests use. */
export type EntryStore = Pick<Store, 'get' | 'getNow' | 'set' | 'used' | 'relay'>;

/** Whether the entry meets every condition of the filter. */
export function matchesFilter(entry: EntryHead, filter: EntryFilter): boolean {
  const { namespace, model, consumer } = filter;
  if (namespace !== undefined && entry.namespace !== namespace) return false;
  if (consumer !== undefined && entry.consumer !== consumer) return false;
  return model === undefined || entry.model === model || entry.requestedModel === model;
}
