import type { CachedResponse, EntryHead } from '../entry.ts';
import type { Relay } from './relay.ts';

export interface StoreStats {
  readonly type: string;
  /** Null where the store does not count them. */
  readonly entries: number | null;
  /** What the entries take, keys and bookkeeping included. */
  readonly bytes: number | null;
  readonly maxBytes: number | null;
  /** Entries thrown out to make room. */
  readonly evictions: number;
  readonly errors: number;
  readonly droppedWrites: number;
  /** Whether it answers at the moment. */
  readonly healthy: boolean;
  /** What its evictions cost, where it makes any. */
  readonly eviction?: EvictionStats;
}

/** What a store throws out to make room, and what that costs. */
export interface EvictionStats {
  /** By what it chooses at the moment. */
  readonly ranking: string;
  /** Requests for what had been thrown out and would still be fresh, as far as that is remembered. */
  readonly missedHits: number;
  /** What they would have saved at list price, in USD; requests without a price are not in it. */
  readonly missedUsd: number;
  /** What twice the memory would have saved beyond what was saved: an estimate from a sample. Null in a store too small for one. */
  readonly twiceTheMemory: { readonly hits: number; readonly usd: number } | null;
}

/** Which entries: those that have every one of these. */
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
  /** Of the body. */
  readonly bytes: number;
  /** Requests that it has answered since it was stored. */
  readonly hits: number;
}

/** An entry and what it is stored under. */
export interface StoredEntry {
  readonly key: string;
  readonly entry: CachedResponse;
}

/** A part of a listing. */
export interface Page {
  /** May be fewer than were asked for, even none, though more follow. */
  readonly entries: readonly ListedEntry[];
  /** Where the next page begins; null at the end. */
  readonly cursor: string | null;
}

export interface PageRequest {
  readonly limit: number;
  /** Of the page before; null for the first. */
  readonly cursor: string | null;
}

/** A cursor that no listing of this store has given. */
export class UnknownCursor extends Error {
  override name = 'UnknownCursor';
}

/** There is an entry, and no room in the byte budget for its body at the moment. */
export class NoRoom extends Error {
  override name = 'NoRoom';
  /** It is counted as a bypass, and is no fault. */
  readonly isReported = true;
}

/** Where entries are kept. One file a back end beside this one. */
export interface Store {
  /**
   * The entry, undefined on a miss (expired or unreadable entries included). Rejects on a failure,
   * and with NoRoom. Its body is compressed only where `takesGzip` and it is worth sending so.
   */
  get(key: string, takesGzip?: boolean): Promise<CachedResponse | undefined>;
  /**
   * The same at once, where the store is in this process: null where it takes waiting to tell.
   * Throws on a failure.
   */
  getNow?(key: string, takesGzip?: boolean): CachedResponse | undefined | null;
  /**
   * The entries that match, with their bodies, in no order; none of them counts as used. Without it
   * they are listed and got.
   */
  entries?(filter: EntryFilter): AsyncIterable<StoredEntry>;
  /** Resolves when what was set has arrived, of a store that does not wait for it. */
  flushed?(): Promise<void>;
  /**
   * Keeps the entry until its `expiresAt`, unless it has been thrown out, or replaced by one that is
   * newer, since it was asked for: `askedAt`, by `performance.now()`, which no clock that is set
   * puts back; now, where it is not said. False when it is too large to be kept; rejects on a failure.
   */
  set(key: string, entry: CachedResponse, askedAt?: number): Promise<boolean>;
  /** Throws the entry out, everywhere. Whether there was one. */
  delete(key: string): Promise<boolean>;
  /** Throws out all entries that match, everywhere; how many there were. With `dryRun` it only counts them. */
  purge(filter: EntryFilter, dryRun?: boolean): Promise<number>;
  /**
   * The entries that match, page by page, in no order. What is there all the while is listed; what
   * comes or goes meanwhile may be. Rejects with an UnknownCursor, or on a failure.
   */
  list(filter: EntryFilter, page: PageRequest): Promise<Page>;
  /** One entry as a listing shows it. Not a use of it. */
  look(key: string): Promise<ListedEntry | undefined>;
  /** The entry has answered a request. Never throws, waits for nothing. */
  used(key: string, entry: CachedResponse): void;
  stats(): StoreStats;
  /** One call for all the gateways that see this store, where it offers that. */
  readonly relay?: Relay | undefined;
  /** Lets go of all that it holds. A later use starts anew. */
  close(): Promise<void>;
}

/** What requests need of a store. */
export type EntryStore = Pick<Store, 'get' | 'getNow' | 'set' | 'used' | 'relay'>;

/** Whether the entry has all that the filter asks for. */
export function matchesFilter(entry: EntryHead, filter: EntryFilter): boolean {
  const { namespace, model, consumer } = filter;
  if (namespace !== undefined && entry.namespace !== namespace) return false;
  if (consumer !== undefined && entry.consumer !== consumer) return false;
  return model === undefined || entry.model === model || entry.requestedModel === model;
}
