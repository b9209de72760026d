import NodeCache from 'node-cache';
import { gzipCodec } from './gzip.ts';
import { BoundedStore } from './bounded/bounded-store.ts';
import { type Bucket, type Buckets, KeyTable } from './bounded/key-table.ts';
import type { BoundedStoreOptions } from './bounded/options.ts';

export interface MemoryStoreOptions extends BoundedStoreOptions {
  /** Whether bodies are stored compressed. Default: true. */
  readonly compress?: boolean;
}

/** What an entry takes in addition to its packed bytes and its key, including its share of node-cache's records. */
const overheadBytes = 182 + KeyTable.bytesEach;

const sweepMs = 100;
/** How many expired entries one step of the sweep drops at most. */
const sweepStep = 500;

/** A store in this process's memory, in node-cache. A timer drops expired entries. */
export class MemoryStore extends BoundedStore {
  #timer: NodeJS.Timeout | null = null;

  constructor(options: MemoryStoreOptions) {
    const { compress = true, ...rest } = options;
    const codec = compress ? gzipCodec : null;
    super({ ...rest, buckets: new NodeCacheBuckets(), overheadBytes, codec });
  }

  /** Drops a bounded number of expired entries. The timer calls it ten times a second. */
  sweep(): void {
    this.dropExpired(sweepStep);
  }

  protected override filled(): void {
    this.#timer ??= setInterval(() => this.sweep(), sweepMs).unref();
  }

  protected override emptied(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** The table of keys. It does not use node-cache's own expiry and bound, which count keys only and block the event loop. */
class NodeCacheBuckets implements Buckets {
  readonly #buckets = new NodeCache({ useClones: false, checkperiod: 0 });

  find(number: number): Bucket | undefined {
    return this.#buckets.get<Bucket>(number);
  }

  put(number: number, bucket: Bucket): void {
    this.#buckets.set(number, bucket);
  }

  remove(number: number): void {
    this.#buckets.del(number);
  }

  clear(): void {
    this.#buckets.flushAll();
  }
}
