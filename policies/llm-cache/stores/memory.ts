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
 * What an entry takes beside its bytes and its key's: the objects around the bytes, node-cache's
 * record and its slot, and the slot here. Measured: see test/memory-store.test.ts.
 */
const overheadBytes = 410;

/** How many entries one step of the sweep looks at: well under a millisecond. */
const sweepStep = 2000;
const sweepMs = 250;

/** How many entries a purge looks at before it lets others run. */
const purgeStep = 500;

interface Slot {
  readonly bytes: number;
  readonly expiresAt: number;
}

/**
 * Entries in this process's memory, in node-cache. The bound in bytes, the order by use and the
 * expiry are kept here in front of it, for its own count keys only, and block.
 */
export class MemoryStore implements Store {
  readonly #maxBytes: number;
  readonly #now: () => number;
  readonly #cache = new NodeCache({ useClones: false, checkperiod: 0 });
  /** Least recently used first. */
  readonly #slots = new Map<string, Slot>();
  #bytes = 0;
  #evictions = 0;
  #refused = 0;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Iterator<[string, Slot]> | null = null;

  constructor(options: MemoryStoreOptions) {
    this.#maxBytes = options.maxBytes;
    this.#now = options.now ?? Date.now;
  }

  async get(key: string): Promise<CachedResponse | undefined> {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    if (slot.expiresAt <= this.#now()) {
      this.#drop(key, slot);
      return undefined;
    }
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    const bytes = this.#cache.get<Uint8Array>(key);
    return bytes && decodeEntry(bytes);
  }

  async set(key: string, entry: CachedResponse): Promise<boolean> {
    const encoded = encodeEntry(entry);
    const slot = { bytes: encoded.length + key.length + overheadBytes, expiresAt: entry.expiresAt };
    if (slot.bytes > this.#maxBytes) {
      this.#refused++;
      return false;
    }
    const before = this.#slots.get(key);
    if (before !== undefined) this.#drop(key, before);
    this.#makeRoom(slot.bytes);
    this.#slots.set(key, slot);
    this.#bytes += slot.bytes;
    this.#cache.set(key, encoded);
    this.#timer ??= setInterval(() => this.sweep(), sweepMs).unref();
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const slot = this.#slots.get(key);
    if (slot !== undefined) this.#drop(key, slot);
    return slot !== undefined && slot.expiresAt > this.#now();
  }

  async purge(filter: EntryFilter): Promise<number> {
    let purged = 0;
    let looked = 0;
    for (const [key, slot] of this.#slots) {
      const bytes = this.#cache.get<Uint8Array>(key);
      const entry = bytes && decodeEntry(bytes);
      if (entry === undefined || matchesFilter(entry, filter)) {
        this.#drop(key, slot);
        purged++;
      }
      if (++looked % purgeStep === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return purged;
  }

  stats(): StoreStats & { readonly entries: number; readonly bytes: number } {
    return {
      type: 'memory',
      entries: this.#slots.size,
      bytes: this.#bytes,
      maxBytes: this.#maxBytes,
      evictions: this.#evictions,
      errors: 0,
      droppedWrites: this.#refused,
    };
  }

  async close(): Promise<void> {
    this.#cache.flushAll();
    this.#slots.clear();
    this.#bytes = 0;
    this.#rest();
  }

  /** One step through the entries, dropping what has expired; the timer takes one every quarter of a second. */
  sweep(): void {
    const now = this.#now();
    this.#sweeping ??= this.#slots.entries();
    for (let looked = 0; looked < sweepStep; looked++) {
      const { value, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = null;
        break;
      }
      const [key, slot] = value;
      if (slot.expiresAt <= now) this.#drop(key, slot);
    }
    if (this.#slots.size === 0) this.#rest();
  }

  #makeRoom(bytes: number): void {
    for (const [key, slot] of this.#slots) {
      if (this.#bytes + bytes <= this.#maxBytes) return;
      this.#drop(key, slot);
      this.#evictions++;
    }
  }

  #drop(key: string, slot: Slot): void {
    this.#slots.delete(key);
    this.#cache.del(key);
    this.#bytes -= slot.bytes;
  }

  /** Without entries there is nothing to sweep. */
  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#sweeping = null;
  }
}
