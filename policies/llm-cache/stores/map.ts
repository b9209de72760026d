import { ConfigurationError } from '../../../schemas/configuration-error.ts';
import type { CachedResponse } from '../entry.ts';
import { BoundedStore } from './bounded/bounded-store.ts';
import { type Bucket, type Buckets, KeyTable } from './bounded/key-table.ts';
import type { BoundedStoreOptions } from './bounded/options.ts';

export type MapStoreOptions = Partial<BoundedStoreOptions>;

const defaultMaxBytes = 64 * 1024 * 1024;

/** Roughly what an entry takes in addition to its packed bytes and its key. */
const overheadBytes = 182 + KeyTable.bytesEach;

/** How many expired entries one write drops at most. */
const sweepStep = 4;

/**
 * A store in this process's memory, in a Map, for runtimes where no timer outlives a request:
 * each write drops some expired entries.
 */
export class MapStore extends BoundedStore {
  /** Throws a ConfigurationError if `maxBytes` (default: 64 MiB) is not a positive whole number. */
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
