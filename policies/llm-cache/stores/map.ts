import { ConfigurationError } from '../../../schemas/configuration-error.ts';
import type { CachedResponse } from '../entry.ts';
import { BoundedStore } from './bounded/bounded-store.ts';
import type { BoundedStoreOptions, Table } from './bounded/options.ts';

export type MapStoreOptions = Partial<BoundedStoreOptions>;

const defaultMaxBytes = 64 * 1024 * 1024;

/** What an entry takes beside its bytes and its key's, roughly. */
const overheadBytes = 285;

/** How many entries a write drops at most, of those that have expired. */
const sweepStep = 4;

/**
 * Entries in this process's memory, in a Map. For where there is no Node and no timer outlives a
 * request: what has expired goes when others come.
 */
export class MapStore extends BoundedStore {
  /** Throws a ConfigurationError where `maxBytes`, by default 64 MiB, is no bound. */
  constructor({ maxBytes = defaultMaxBytes, ...options }: MapStoreOptions = {}) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
      throw new ConfigurationError(
        `MapStore: "maxBytes" must be a whole number of at least 1, got ${String(maxBytes)}`,
      );
    }
    super({ ...options, maxBytes, table: new MapTable(), overheadBytes, codec: null });
  }

  override set(key: string, entry: CachedResponse, askedAt?: number): Promise<boolean> {
    this.dropExpired(sweepStep);
    return super.set(key, entry, askedAt);
  }
}

class MapTable implements Table {
  readonly #entries = new Map<string, number>();

  find(key: string): number | undefined {
    return this.#entries.get(key);
  }

  add(key: string, entry: number): void {
    this.#entries.set(key, entry);
  }

  remove(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
