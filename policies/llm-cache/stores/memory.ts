import NodeCache from 'node-cache';
import { gzipCodec } from './gzip.ts';
import { BoundedStore } from './bounded/bounded-store.ts';
import type { BoundedStoreOptions, Table } from './bounded/options.ts';

export interface MemoryStoreOptions extends BoundedStoreOptions {
  /** Whether bodies are kept compressed; default: true. */
  readonly compress?: boolean;
}

/** What an entry takes beside its bytes and its key's, node-cache's record and place included. */
const overheadBytes = 285;

const sweepMs = 100;
/** How many entries one step of the sweep drops at most. */
const sweepStep = 500;

/** A table of a million keys takes 100 ms to grow or to shrink, so there are several. */
const bytesPerShard = 4 * 2 ** 20;
const maxShards = 1024;

/** Entries in this process's memory, in node-cache; what expires goes by a timer. */
export class MemoryStore extends BoundedStore {
  #timer: NodeJS.Timeout | null = null;

  constructor(options: MemoryStoreOptions) {
    const shards = Math.min(Math.ceil(options.maxBytes / bytesPerShard), maxShards);
    const { compress = true, ...rest } = options;
    const codec = compress ? gzipCodec : null;
    super({ ...rest, table: new NodeCacheTable(shards), overheadBytes, codec });
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

/** The numbers of entries by key, in node-cache: it is told of no expiry and no bound, for its own count keys only, and block. */
class NodeCacheTable implements Table {
  readonly #shards: readonly NodeCache[];

  constructor(shards: number) {
    this.#shards = Array.from(
      { length: shards },
      () => new NodeCache({ useClones: false, checkperiod: 0 }),
    );
  }

  find(key: string): number | undefined {
    return this.#shardOf(key).get<number>(nameOf(key));
  }

  add(key: string, entry: number): void {
    this.#shardOf(key).set(nameOf(key), entry);
  }

  remove(key: string): void {
    this.#shardOf(key).del(nameOf(key));
  }

  clear(): void {
    for (const shard of this.#shards) shard.flushAll();
  }

  /** By the end of the key, where it has its digest. */
  #shardOf(key: string): NodeCache {
    let hash = 0;
    for (let at = Math.max(0, key.length - 8); at < key.length; at++) {
      hash = (hash * 31 + key.charCodeAt(at)) >>> 0;
    }
    return this.#shards[hash % this.#shards.length] as NodeCache;
  }
}

/**
 * node-cache keeps keys in a plain object, where `constructor` and `__proto__` mean something. They
 * have no colon, as the keys of requests have.
 */
function nameOf(key: string): string {
  return key.includes(':') ? key : `=${key}`;
}
