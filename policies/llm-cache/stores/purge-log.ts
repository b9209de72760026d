import type { EntryHead } from '../entry.ts';
import { type EntryFilter, matchesFilter } from './store.ts';

/** A removal of entries: one key, or all that match a filter. */
export type Purge = { readonly key: string } | { readonly filter: EntryFilter };

const maxKept = 100;

/**
 * Remembers the newest purges, so that an answer requested before a purge is not stored after it.
 * Times are by `performance.now()`, which clock changes do not affect.
 */
export class PurgeLog {
  readonly #purges: { readonly at: number; readonly purge: Purge }[] = [];
  /** When the newest forgotten purge was made. */
  #forgotten = -Infinity;

  add(purge: Purge): void {
    this.#purges.push({ at: performance.now(), purge });
    if (this.#purges.length > maxKept) this.#forgotten = this.#purges.shift()?.at ?? -Infinity;
  }

  /** Whether a purge after `askedAt` covers the entry. True if the log no longer reaches back that far. */
  covers(key: string, head: EntryHead, askedAt: number): boolean {
    if (this.#forgotten > askedAt) return true;
    return this.#purges.some(({ at, purge }) => at > askedAt && isIn(purge, key, head));
  }
}

/** Whether the purge covers the entry. */
export function isIn(purge: Purge, key: string, head: EntryHead): boolean {
  return 'key' in purge ? purge.key === key : matchesFilter(head, purge.filter);
}

/**
 * Whether an entry was certainly stored in the last `withinMs`, judged by its remaining time to live.
 * Its own times are by the clock of the gateway that stored it, which may differ from this one's.
 */
export function wasStoredWithin(head: EntryHead, leftMs: number, withinMs: number): boolean {
  const ageMs = head.expiresAt - head.storedAt - leftMs;
  // Redis rounds the time to live to whole milliseconds.
  return leftMs > 0 && ageMs >= -1 && ageMs + 1 < withinMs;
}
