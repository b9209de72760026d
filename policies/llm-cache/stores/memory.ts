import NodeCache from 'node-cache';
import { type CachedResponse, decodeEntry, encodeEntry } from '../entry.ts';
import { type EntryFilter, matchesFilter, type Store, type StoreStats } from './store.ts';

export interface MemoryStoreOptions {
  /** What all entries together may take, in bytes. */
  readonly maxBytes: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * What an entry takes beside its bytes and its key's: the objects around the bytes, and
 * node-cache's record and slot. Measured: see test/memory-store.test.ts.
 */
const overheadBytes = 410;

/** How many entries one step of the sweep looks at: half a millisecond. */
const sweepStep = 500;
const sweepMs = 100;

/** How many entries a purge looks at before it lets others run. */
const purgeStep = 500;

/** A table of a million keys takes 100 ms to grow or to shrink, so there are several. */
const bytesPerShard = 4 * 2 ** 20;
const maxShards = 1024;

/** An encoded entry and its place in the order of use. */
interface Slot {
  readonly name: string;
  readonly encoded: Uint8Array;
  readonly bytes: number;
  readonly expiresAt: number;
  older: Slot | null;
  newer: Slot | null;
}

/**
 * Entries in this process's memory, in node-cache. The bound in bytes, the order by use and the
 * expiry are kept here in front of it, for its own count keys only, and block.
 */
export class MemoryStore implements Store {
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #shards: readonly NodeCache[];
  #oldest: Slot | null = null;
  #newest: Slot | null = null;
  #entries = 0;
  #bytes = 0;
  #evictions = 0;
  #refused = 0;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Iterator<Slot> | null = null;

  constructor(options: MemoryStoreOptions) {
    this.#maxBytes = options.maxBytes;
    this.#now = options.now ?? Date.now;
    const length = Math.min(Math.ceil(options.maxBytes / bytesPerShard), maxShards);
    this.#shards = Array.from(
      { length },
      () => new NodeCache({ useClones: false, checkperiod: 0 }),
    );
  }

  async get(key: string): Promise<CachedResponse | undefined> {
    const slot = this.#find(key);
    if (slot === undefined) return undefined;
    const entry = slot.expiresAt > this.#now() ? decodeEntry(slot.encoded) : undefined;
    if (entry === undefined) {
      this.#drop(slot);
      return undefined;
    }
    this.#unlink(slot);
    this.#append(slot);
    return entry;
  }

  /** `expiresAt`, in milliseconds since the epoch, where it is not to be kept as long as it says. */
  async set(
    key: string,
    entry: CachedResponse,
    expiresAt: number = entry.expiresAt,
  ): Promise<boolean> {
    const encoded = encodeEntry(entry);
    const bytes = encoded.length + key.length + overheadBytes;
    if (bytes > this.#maxBytes) {
      this.#refused++;
      return false;
    }
    const before = this.#find(key);
    if (before !== undefined) this.#drop(before);
    while (this.#oldest !== null && this.#bytes + bytes > this.#maxBytes) {
      this.#drop(this.#oldest);
      this.#evictions++;
    }
    const slot = { name: nameOf(key), encoded, bytes, expiresAt, older: null, newer: null };
    // Never the bare bytes: node-cache counts what it is given with Object.keys, a string a byte.
    this.#shardOf(slot.name).set(slot.name, slot);
    this.#append(slot);
    this.#entries++;
    this.#bytes += bytes;
    this.#timer ??= setInterval(() => this.sweep(), sweepMs).unref();
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const slot = this.#find(key);
    if (slot !== undefined) this.#drop(slot);
    return slot !== undefined && slot.expiresAt > this.#now();
  }

  /** `begin` spares all keys that do not begin with it. */
  async purge(filter: EntryFilter, begin = ''): Promise<number> {
    let purged = 0;
    let looked = 0;
    const under = nameOf(begin);
    for (const slot of this.#each()) {
      if (slot.name.startsWith(under)) purged += this.#purgeOne(slot, filter);
      if (++looked % purgeStep === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return purged;
  }

  #purgeOne(slot: Slot, filter: EntryFilter): number {
    const entry = slot.expiresAt > this.#now() ? decodeEntry(slot.encoded) : undefined;
    if (entry !== undefined && !matchesFilter(entry, filter)) return 0;
    this.#drop(slot);
    return entry === undefined ? 0 : 1;
  }

  stats(): StoreStats & { readonly entries: number; readonly bytes: number } {
    return {
      type: 'memory',
      entries: this.#entries,
      bytes: this.#bytes,
      maxBytes: this.#maxBytes,
      evictions: this.#evictions,
      errors: 0,
      droppedWrites: this.#refused,
    };
  }

  async close(): Promise<void> {
    for (const shard of this.#shards) shard.flushAll();
    this.#oldest = null;
    this.#newest = null;
    this.#entries = 0;
    this.#bytes = 0;
    this.#rest();
  }

  /** One step through the entries, dropping what has expired; the timer takes ten a second. */
  sweep(): void {
    const now = this.#now();
    for (let looked = 0; looked < sweepStep; looked++) {
      this.#sweeping ??= this.#each();
      const { value: slot, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = null;
        return;
      }
      if (slot.expiresAt <= now) this.#drop(slot);
    }
  }

  /** All entries, however long the reader takes; what is put in meanwhile may be among them. */
  *#each(): Generator<Slot, void> {
    for (const shard of this.#shards) {
      for (const name of shard.keys()) {
        const slot = shard.get<Slot>(name);
        if (slot !== undefined) yield slot;
      }
    }
  }

  #find(key: string): Slot | undefined {
    const name = nameOf(key);
    return this.#shardOf(name).get<Slot>(name);
  }

  /** By the end of the name, where a key has its digest. */
  #shardOf(name: string): NodeCache {
    let hash = 0;
    for (let at = Math.max(0, name.length - 8); at < name.length; at++) {
      hash = (hash * 31 + name.charCodeAt(at)) >>> 0;
    }
    return this.#shards[hash % this.#shards.length] as NodeCache;
  }

  #drop(slot: Slot): void {
    this.#shardOf(slot.name).del(slot.name);
    this.#unlink(slot);
    this.#entries--;
    this.#bytes -= slot.bytes;
    if (this.#entries === 0) this.#rest();
  }

  #unlink(slot: Slot): void {
    if (slot.older === null) this.#oldest = slot.newer;
    else slot.older.newer = slot.newer;
    if (slot.newer === null) this.#newest = slot.older;
    else slot.newer.older = slot.older;
    slot.older = null;
    slot.newer = null;
  }

  #append(slot: Slot): void {
    slot.older = this.#newest;
    if (this.#newest === null) this.#oldest = slot;
    else this.#newest.newer = slot;
    this.#newest = slot;
  }

  /** Without entries there is nothing to sweep. */
  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#sweeping = null;
  }
}

/** node-cache keeps keys in a plain object, where `constructor` and `__proto__` mean something. */
function nameOf(key: string): string {
  return `=${key}`;
}
