import type { EntryFilter, Store, StoredEntry } from './store.ts';

const pageSize = 200;

/** Yields the entries of a store that match. */
export function entriesOf(store: Store, filter: EntryFilter = {}): AsyncIterable<StoredEntry> {
  return store.entries?.(filter) ?? byPages(store, filter);
}

async function* byPages(store: Store, filter: EntryFilter): AsyncGenerator<StoredEntry, void> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Store['list']>> = await store.list(filter, {
      limit: pageSize,
      cursor,
    });
    for (const { key } of page.entries) {
      const entry = await store.get(key);
      if (entry !== undefined) yield { key, entry };
    }
    ({ cursor } = page);
  } while (cursor !== null);
}
