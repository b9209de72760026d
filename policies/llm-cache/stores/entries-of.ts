import type { CachedResponse } from '../entry.ts';
import type { EntryFilter, Store } from './store.ts';

export interface StoredEntry {
  readonly key: string;
  readonly entry: CachedResponse;
}

/** How many entries are asked for at once. */
const pageSize = 1000;

/** The entries of a store that match, one after the other. None of them counts as used. */
export async function* entriesOf(
  store: Store,
  filter: EntryFilter = {},
): AsyncGenerator<StoredEntry, void> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Store['list']>> = await store.list(filter, {
      limit: pageSize,
      cursor,
    });
    for (const { key } of page.entries) {
      const entry = await (store.peek === undefined ? store.get(key) : store.peek(key));
      if (entry !== undefined) yield { key, entry };
    }
    ({ cursor } = page);
  } while (cursor !== null);
}
