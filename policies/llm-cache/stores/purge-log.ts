import type { EntryHead } from '../entry.ts';
import { type EntryFilter, matchesFilter } from './store.ts';

/** What was thrown out of a store. */
export type Purge = { readonly key: string } | { readonly filter: EntryFilter };

const maxKept = 100;

/**
 * The newest purges, so that an answer that was on its way meanwhile is not stored after all. Their
 * order is by `performance.now()`, which runs on whatever the machine's clock is set to.
 */
export class PurgeLog {
  readonly #purges: { readonly at: number; readonly purge: Purge }[] = [];
  /** When the newest of those that are kept no more was made. */
  #forgotten = -Infinity;

  add(purge: Purge): void {
    this.#purges.push({ at: performance.now(), purge });
    if (this.#purges.length > maxKept) this.#forgotten = this.#purges.shift()?.at ?? -Infinity;
  }

  /** Whether the entry would have been thrown out after `askedAt`. */
  covers(key: string, head: EntryHead, askedAt: number): boolean {
    if (this.#forgotten > askedAt) return true;
    return this.#purges.some(({ at, purge }) => at > askedAt && isIn(purge, key, head));
  }
}

export function isIn(purge: Purge, key: string, head: EntryHead): boolean {
  return 'key' in purge ? purge.key === key : matchesFilter(head, purge.filter);
}

/**
 * Whether an entry was stored for certain in the last `withinMs`, by how much of its life is left:
 * the clocks of those that share a store differ, and its times are by another's.
 */
export function wasStoredWithin(head: EntryHead, leftMs: number, withinMs: number): boolean {
  const ageMs = head.expiresAt - head.storedAt - leftMs;
  // What is left is told in whole milliseconds.
  return leftMs > 0 && ageMs >= -1 && ageMs + 1 < withinMs;
}
