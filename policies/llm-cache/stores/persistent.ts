import type { CachedResponse } from '../entry.ts';
import { entriesOf } from './entries-of.ts';
import type { SnapshotFile } from './snapshot-file.ts';
import type {
  EntryFilter,
  ListedEntry,
  Page,
  PageRequest,
  Store,
  StoredEntry,
  StoreStats,
} from './store.ts';

/** A store in this process whose entries are also saved to a file. */
export class PersistentStore implements Store {
  readonly #store: Store;
  readonly #file: SnapshotFile;

  constructor(store: Store, file: SnapshotFile) {
    this.#store = store;
    this.#file = file;
  }

  get(key: string, takesGzip?: boolean): Promise<CachedResponse | undefined> {
    return this.#store.get(key, takesGzip);
  }

  getNow(key: string, takesGzip?: boolean): CachedResponse | undefined | null {
    return this.#store.getNow?.(key, takesGzip) ?? null;
  }

  entries(filter: EntryFilter): AsyncIterable<StoredEntry> {
    return entriesOf(this.#store, filter);
  }

  async set(key: string, entry: CachedResponse, askedAt?: number): Promise<boolean> {
    const isStored = await this.#store.set(key, entry, askedAt);
    if (isStored) this.#file.changed();
    return isStored;
  }

  async delete(key: string): Promise<boolean> {
    const existed = await this.#store.delete(key);
    this.#file.saveSoon();
    return existed;
  }

  async purge(filter: EntryFilter, dryRun?: boolean): Promise<number> {
    const purged = await this.#store.purge(filter, dryRun);
    if (dryRun !== true) this.#file.saveSoon();
    return purged;
  }

  list(filter: EntryFilter, page: PageRequest): Promise<Page> {
    return this.#store.list(filter, page);
  }

  look(key: string): Promise<ListedEntry | undefined> {
    return this.#store.look(key);
  }

  used(key: string, entry: CachedResponse): void {
    this.#store.used(key, entry);
  }

  stats(): StoreStats {
    return this.#store.stats();
  }

  /** Writes the file if the entries have changed. */
  save(): Promise<void> {
    return this.#file.save();
  }

  /** Tells the store whether it owns its file, or must hand it over to another store. */
  owns(isOwner: boolean): Promise<void> {
    if (!isOwner) return this.#file.handOver();
    this.#file.takeBack();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#file.stop();
    await this.#store.close();
  }
}
