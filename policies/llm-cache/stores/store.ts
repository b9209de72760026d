import type { CachedResponse } from '../entry.ts';
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
}

/** Which entries: those that have every one of these. */
export interface EntryFilter {
  readonly namespace?: string;
  /** The model of the answer or of the request. */
  readonly model?: string;
  /** A consumer's id. */
  readonly consumer?: string;
}

/** Where entries are kept. One file a back end beside this one. */
export interface Store {
  /** The entry, undefined on a miss (expired or unreadable entries included); rejects on a failure. */
  get(key: string): Promise<CachedResponse | undefined>;
  /** Keeps the entry until its `expiresAt`. False when it is too large to be kept; rejects on a failure. */
  set(key: string, entry: CachedResponse): Promise<boolean>;
  /** Throws the entry out, everywhere. Whether there was one. */
  delete(key: string): Promise<boolean>;
  /** Throws out all entries that match, everywhere; how many there were. */
  purge(filter: EntryFilter): Promise<number>;
  stats(): StoreStats;
  /** One call for all the gateways that see this store, where it offers that. */
  readonly relay?: Relay | undefined;
  /** Lets go of all that it holds. A later use starts anew. */
  close(): Promise<void>;
}

/** Whether the entry has all that the filter asks for. */
export function matchesFilter(entry: CachedResponse, filter: EntryFilter): boolean {
  const { namespace, model, consumer } = filter;
  if (namespace !== undefined && entry.namespace !== namespace) return false;
  if (consumer !== undefined && entry.consumer !== consumer) return false;
  return model === undefined || entry.model === model || entry.requestedModel === model;
}
