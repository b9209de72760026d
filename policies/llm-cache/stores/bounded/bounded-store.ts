import type { CachedResponse } from '../../entry.ts';
import { PurgeLog } from '../purge-log.ts';
import {
  type EntryFilter,
  type ListedEntry,
  type Page,
  type PageRequest,
  type Store,
  type StoredEntry,
  type StoreStats,
} from '../store.ts';
import { Appraiser } from './appraiser.ts';
import { Eviction } from './eviction.ts';
import { Expiry } from './expiry.ts';
import { keyHash } from './key-hash.ts';
import { KeyTable } from './key-table.ts';
import type { TableOptions } from './options.ts';
import { type Contents, everyEntry, list, purge } from './listing.ts';
import { type Codec, CompressionQueue, type Waiting } from './compression-queue.ts';
import { negligibleSlots, Slots } from './slots.ts';
import { packWorth, type Worth } from './worth.ts';

/** The share of the store that entries waiting for compression may take. */
const waitingShare = 1 / 16;

/** An entry older than this is a copy from a file or another store, not a new answer. */
const newMs = 5000;

/** A store in this process's memory, bounded in bytes. A subclass supplies the table of keys. */
export class BoundedStore implements Store {
  readonly #options: Required<TableOptions>;
  readonly #table: KeyTable;
  readonly #now: () => number;
  readonly #purges = new PurgeLog();
  readonly #appraiser: Appraiser;
  readonly #contents: Contents = {
    slots: () => this.#slots,
    isLive: (slot) => this.#isLive(slot),
    drop: (slot) => this.#drop(slot),
  };
  #compressionQueue: CompressionQueue | null;
  #eviction: Eviction;
  #expiry = new Expiry();
  #slots: Slots;
  #bytes = 0;
  #evictions = 0;
  #refused = 0;

  constructor({ eviction = 'worth', costOf = () => null, now = Date.now, ...rest }: TableOptions) {
    this.#options = { ...rest, eviction, costOf, now };
    this.#table = new KeyTable(rest.buckets, rest.maxBytes, (slot) => this.#slots.keyOf(slot));
    this.#now = now;
    this.#appraiser = new Appraiser(costOf);
    this.#eviction = new Eviction(eviction, rest.maxBytes);
    this.#slots = new Slots(rest.maxBytes, rest.codec);
    this.#compressionQueue = rest.codec && this.#makeCompressionQueue(rest.codec);
  }

  async get(key: string, takesGzip?: boolean): Promise<CachedResponse | undefined> {
    return this.getNow(key, takesGzip);
  }

  getNow(key: string, takesGzip = false): CachedResponse | undefined {
    const now = this.#now();
    const hash = keyHash(key);
    const slot = this.#table.find(key, hash);
    if (slot === undefined) {
      this.#eviction.miss(hash, now);
      return undefined;
    }
    const entry = this.#expiry.of(slot) > now ? this.#slots.entry(slot, takesGzip) : undefined;
    if (entry === undefined) {
      this.#drop(slot);
      return undefined;
    }
    const waiting = this.#compressionQueue?.find(slot);
    if (waiting !== undefined) waiting.asked++;
    else {
      const freshUntil = Math.min(entry.freshUntil, this.#expiry.of(slot));
      const facts = {
        hash,
        bytes: this.#bytesOf(slot),
        worth: this.#eviction.worthOf(slot),
        freshUntil,
      };
      this.#eviction.hit(slot, facts, now);
    }
    // The hit may have expanded a body, which takes memory.
    this.#makeRoom();
    return entry;
  }

  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    if (this.#purges.covers(key, entry, askedAt)) return true;
    const before = this.#find(key);
    if (before !== undefined && this.#slots.putAt.get(before) > askedAt) return true;
    // For a copy from a file or another store, the time since askedAt is not the provider's.
    const isNew = this.#now() - entry.storedAt < newMs;
    const seconds = isNew ? (performance.now() - askedAt) / 1000 : 0;
    const worth = this.#appraiser.appraise(entry, seconds);
    return this.#put(key, entry, entry.expiresAt, worth);
  }

  /** Keeps a copy of another store's entry until `expiresAt` (milliseconds since the epoch), replacing any other. */
  async keep(key: string, entry: CachedResponse, expiresAt: number): Promise<boolean> {
    return this.#put(key, entry, expiresAt, this.#appraiser.appraiseCopy());
  }

  #put(key: string, entry: CachedResponse, expiresAt: number, worth: Worth): boolean {
    const prepared = this.#slots.prepare(entry);
    const { packed, body, sharedBytes } = prepared;
    const bytes = packed.byteLength + key.length + this.#options.overheadBytes;
    if (bytes + sharedBytes + KeyTable.bytesOfBucket > this.#room) {
      this.#refused++;
      return false;
    }
    const hash = keyHash(key);
    const before = this.#table.find(key, hash);
    const asked = before === undefined ? 0 : this.#askedFor(before);
    // The new entry reuses the freed slot, so that no listing misses the key.
    if (before !== undefined) this.#drop(before);
    const slot = this.#slots.take(key, prepared);
    this.#table.add(hash, slot);
    this.#expiry.add(slot, expiresAt);
    this.#bytes += bytes;
    const freshUntil = Math.min(entry.freshUntil, expiresAt);
    const facts = { hash, bytes, worth: packWorth(worth), freshUntil };
    const waiting = { body, facts, asked };
    if (!this.#compressionQueue?.add(slot, waiting)) this.#eviction.add(slot, facts, asked);
    this.#makeRoom();
    if (this.#slots.entries > 0) this.filled();
    return true;
  }

  async delete(key: string): Promise<boolean> {
    this.#purges.add({ key });
    const slot = this.#find(key);
    if (slot === undefined) return false;
    const isLive = this.#isLive(slot);
    this.#drop(slot);
    return isLive;
  }

  /** Purges only keys with the prefix. Without one it spares keys with a space, which belong to other stores. */
  async purge(filter: EntryFilter, dryRun = false, prefix = ''): Promise<number> {
    // Keys with a prefix belong to other stores, and so does their purge log.
    if (!dryRun && prefix === '') this.#purges.add({ filter });
    return purge(this.#contents, { filter, dryRun, prefix });
  }

  async list(filter: EntryFilter, page: PageRequest): Promise<Page> {
    return list(this.#contents, filter, page);
  }

  entries(filter: EntryFilter): AsyncIterable<StoredEntry> {
    return everyEntry(this.#contents, filter);
  }

  async look(key: string): Promise<ListedEntry | undefined> {
    const slot = this.#find(key);
    return slot !== undefined && this.#isLive(slot) ? this.#slots.listed(slot) : undefined;
  }

  used(key: string, entry: CachedResponse): void {
    const slot = this.#find(key);
    if (slot !== undefined) this.#slots.used(slot, entry);
  }

  stats(): StoreStats & { readonly entries: number; readonly bytes: number } {
    const { entries } = this.#slots;
    return {
      type: 'memory',
      entries,
      bytes: entries === 0 ? 0 : this.#used + this.#eviction.bytes,
      maxBytes: this.#options.maxBytes,
      evictions: this.#evictions,
      errors: 0,
      droppedWrites: this.#refused,
      healthy: true,
      eviction: this.#eviction.stats(),
    };
  }

  async close(): Promise<void> {
    const { eviction, maxBytes, codec } = this.#options;
    this.#table.clear();
    this.#compressionQueue?.stop();
    this.#slots = new Slots(maxBytes, codec);
    this.#compressionQueue = codec && this.#makeCompressionQueue(codec);
    this.#expiry = new Expiry();
    this.#eviction = new Eviction(eviction, maxBytes);
    this.#bytes = 0;
    this.emptied();
  }

  /** Resolves when no entry waits for compression. */
  async settled(): Promise<void> {
    await this.#compressionQueue?.settled();
  }

  /** Called after each put that leaves entries in the store. */
  protected filled(): void {}

  /** Called when the last entry is gone, and on close. */
  protected emptied(): void {}

  /** Drops at most `limit` expired entries. */
  protected dropExpired(limit: number): void {
    const now = this.#now();
    for (let dropped = 0; dropped < limit; dropped++) {
      const slot = this.#expiry.expired(now);
      if (slot === -1) return;
      this.#drop(slot);
    }
  }

  get #used(): number {
    return this.#bytes + this.#slots.otherBytes + this.#table.bytes;
  }

  get #room(): number {
    return this.#options.maxBytes - this.#eviction.reserved;
  }

  /** Drops expired entries first, then evicts those of least worth, which may include the newest. */
  #makeRoom(): void {
    while (this.#used > this.#room) {
      const expired = this.#expiry.expired(this.#now());
      if (expired !== -1) {
        this.#drop(expired);
        continue;
      }
      const slot = this.#eviction.next();
      if (slot === -1) {
        // All remaining entries wait for compression.
        const waiting = this.#compressionQueue?.oldest() ?? -1;
        if (waiting === -1) return;
        this.#drop(waiting);
        this.#evictions++;
        continue;
      }
      const hash = keyHash(this.#slots.keyOf(slot));
      const freshUntil = Math.min(this.#slots.freshUntil(slot), this.#expiry.of(slot));
      this.#eviction.evict(slot, { hash, freshUntil }, this.#slots.entries);
      this.#evictions++;
      this.#release(slot, hash);
    }
  }

  #drop(slot: number): void {
    const hash = keyHash(this.#slots.keyOf(slot));
    if (this.#compressionQueue?.find(slot) !== undefined) this.#compressionQueue.drop(slot);
    else this.#eviction.remove(slot, hash);
    this.#release(slot, hash);
  }

  #release(slot: number, hash: number): void {
    this.#table.remove(hash, slot);
    this.#expiry.remove(slot);
    this.#bytes -= this.#bytesOf(slot);
    this.#slots.free(slot);
    if (this.#slots.entries === 0) this.#restart();
  }

  #bytesOf(slot: number): number {
    return this.#slots.bytesOf(slot) + this.#options.overheadBytes;
  }

  #makeCompressionQueue(codec: Codec): CompressionQueue {
    return new CompressionQueue({
      codec,
      maxBytes: this.#options.maxBytes * waitingShare,
      done: (slot, waiting, compressed) => this.#compressed(slot, waiting, compressed),
    });
  }

  /** Puts an entry that waited for compression into the order, with its final size. */
  #compressed(slot: number, { body, facts, asked }: Waiting, compressed: Uint8Array | null): void {
    const before = this.#bytesOf(slot);
    if (compressed !== null) this.#slots.compress(slot, body.length, compressed);
    const bytes = this.#bytesOf(slot);
    this.#bytes += bytes - before;
    this.#eviction.add(slot, { ...facts, bytes }, asked);
    this.#makeRoom();
  }

  #askedFor(slot: number): number {
    const waiting = this.#compressionQueue?.find(slot);
    return waiting === undefined ? this.#eviction.askedFor(slot) : Math.max(1, waiting.asked);
  }

  /** Releases the memory of the slots if there were many. */
  #restart(): void {
    this.emptied();
    if (this.#slots.end < negligibleSlots) return;
    this.#slots = new Slots(this.#options.maxBytes, this.#options.codec);
    this.#expiry = new Expiry();
    this.#eviction.restart();
  }

  #isLive(slot: number): boolean {
    return this.#expiry.of(slot) > this.#now();
  }

  #find(key: string): number | undefined {
    return this.#table.find(key, keyHash(key));
  }
}
