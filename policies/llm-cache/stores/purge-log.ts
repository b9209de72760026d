import type { EntryHead } from '../entry.ts';
import { type EntryFilter, matchesFilter } from './store.ts';

/** What was thrown out of a store. */
export type Purge = { readonly key: string } | { readonly filter: EntryFilter };

const maxKept = 100;

/** The newest purges, so that an answer that was on its way meanwhile is not stored after all. */
export class PurgeLog {
  readonly #now: () => number;
  readonly #purges: { readonly at: number; readonly purge: Purge }[] = [];
  /** When the newest of those that are kept no more was made. */
  #forgotten = -Infinity;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(purge: Purge): void {
    this.#purges.push({ at: this.#now(), purge });
    if (this.#purges.length > maxKept) this.#forgotten = this.#purges.shift()?.at ?? -Infinity;
  }

  /** Whether the entry would have been thrown out after `since`, in milliseconds since the epoch. */
  covers(key: string, head: EntryHead, since: number): boolean {
    if (this.#forgotten > since) return true;
    return this.#purges.some(({ at, purge }) => at > since && isIn(purge, key, head));
  }
}

export function isIn(purge: Purge, key: string, head: EntryHead): boolean {
  return 'key' in purge ? purge.key === key : matchesFilter(head, purge.filter);
}
