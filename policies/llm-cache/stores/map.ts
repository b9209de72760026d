import { ConfigurationError } from '../../../schemas/configuration-error.ts';
import type { CachedResponse } from '../entry.ts';
import { BoundedStore } from './bounded/bounded-store.ts';
import { type Bucket, type Buckets, KeyTable } from './bounded/key-table.ts';
import type { BoundedStoreOptions } from './bounded/options.ts';

export type MapStoreOptions = Partial<BoundedStoreOptions>;

const defaultMaxBytes = 64 * 1024 * 1024;

/** What an entry takes beside its bytes and its key's, roughly. */
const overheadBytes = 182 + KeyTable.bytesEach;

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
    super({ ...options, maxBytes, buckets: new MapBuckets(), overheadBytes, codec: null });
  }

  override set(key: string, entry: CachedResponse, askedAt?: number): Promise<boolean> {
    this.dropExpired(sweepStep);
    return super.set(key, entry, askedAt);
  }
}

class MapBuckets implements Buckets {
  readonly #buckets = new Map<number, Bucket>();

  find(number: number): Bucket | undefined {
    return this.#buckets.get(number);
  }

  put(number: number, bucket: Bucket): void {
    this.#buckets.set(number, bucket);
  }

  remove(number: number): void {
    this.#buckets.delete(number);
  }

  clear(): void {
    this.#buckets.clear();
  }
}
