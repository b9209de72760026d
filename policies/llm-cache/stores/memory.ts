import NodeCache from 'node-cache';
import { gzipCodec } from './gzip.ts';
import { BoundedStore } from './bounded/bounded-store.ts';
import { type Bucket, type Buckets, KeyTable } from './bounded/key-table.ts';
import type { BoundedStoreOptions } from './bounded/options.ts';

export interface MemoryStoreOptions extends BoundedStoreOptions {
  /** Whether bodies are kept compressed; default: true. */
  readonly compress?: boolean;
}

/** What an entry takes beside its bytes and its key's, node-cache's record and place included. */
const overheadBytes = 182 + KeyTable.bytesEach;

const sweepMs = 100;
/** How many entries one step of the sweep drops at most. */
const sweepStep = 500;

/** Entries in this process's memory, in node-cache; what expires goes by a timer. */
export class MemoryStore extends BoundedStore {
  #timer: NodeJS.Timeout | null = null;

  constructor(options: MemoryStoreOptions) {
    const { compress = true, ...rest } = options;
    const codec = compress ? gzipCodec : null;
    super({ ...rest, buckets: new NodeCacheBuckets(), overheadBytes, codec });
  }

  /** One step of letting go of what has expired; the timer takes ten a second. */
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

/** The table of keys, in node-cache: it is told of no expiry and no bound, for its own count keys only, and block. */
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
