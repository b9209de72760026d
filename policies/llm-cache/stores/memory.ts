import NodeCache from 'node-cache';
import { type CachedResponse, decodeEntry, decodeHead, encodeEntry } from '../entry.ts';
import { PurgeLog } from './purge-log.ts';
import {
  type EntryFilter,
  type ListedEntry,
  matchesFilter,
  type Page,
  type PageRequest,
  type Store,
  type StoredEntry,
  type StoreStats,
  UnknownCursor,
} from './store.ts';

export interface MemoryStoreOptions {
  /** What all entries together may take, in bytes. */
  readonly maxBytes: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * What an entry takes beside its bytes and its key's: the objects around the bytes, and
 * node-cache's record and slot. Measured: see test/llm-cache/stores/memory.test.ts.
 */
const overheadBytes = 430;

/** How many entries one step of the sweep looks at: half a millisecond. */
const sweepStep = 500;
const sweepMs = 100;

/** How many entries a purge or a listing looks at before it lets others run. */
const lookStep = 1000;
/** How many a page looks at before it is content with what it has found. */
const maxLookedAt = 40_000;

/** A table of a million keys takes 100 ms to grow or to shrink, so there are several. */
const bytesPerShard = 4 * 2 ** 20;
const maxShards = 1024;

/** An encoded entry and its place in the order of use. */
interface Slot {
  readonly name: string;
  readonly encoded: Uint8Array;
  readonly bytes: number;
  readonly expiresAt: number;
  /** When it was put in, by `performance.now()`. */
  readonly putAt: number;
  /** In the order of their coming, which within a shard is the order of its keys. */
  readonly sequence: number;
  /** Numbers that tell most entries apart from what a filter asks for, without reading them. */
  readonly owner: number;
  readonly models: number;
  hits: number;
  /** As it was read last, as long as there is memory for it. */
  decoded: WeakRef<CachedResponse> | null;
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
  readonly #purges = new PurgeLog();
  #oldest: Slot | null = null;
  #newest: Slot | null = null;
  #entries = 0;
  #bytes = 0;
  #sequence = 0;
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
    return this.getNow(key);
  }

  getNow(key: string): CachedResponse | undefined {
    const slot = this.#find(key);
    if (slot === undefined) return undefined;
    const entry = slot.expiresAt > this.#now() ? entryIn(slot) : undefined;
    if (entry === undefined) {
      this.#drop(slot);
      return undefined;
    }
    this.#unlink(slot);
    this.#append(slot);
    return entry;
  }

  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    if (this.#purges.covers(key, entry, askedAt)) return true;
    const before = this.#find(key);
    if (before !== undefined && before.putAt > askedAt) return true;
    return this.#put(key, entry, entry.expiresAt, before);
  }

  /** Keeps the entry, whatever was there, until `expiresAt` (milliseconds since the epoch). */
  async keep(key: string, entry: CachedResponse, expiresAt: number): Promise<boolean> {
    return this.#put(key, entry, expiresAt, this.#find(key));
  }

  #put(key: string, entry: CachedResponse, expiresAt: number, before: Slot | undefined): boolean {
    const encoded = encodeEntry(entry);
    const bytes = encoded.length + key.length + overheadBytes;
    if (bytes > this.#maxBytes) {
      this.#refused++;
      return false;
    }
    if (before !== undefined) this.#drop(before);
    while (this.#oldest !== null && this.#bytes + bytes > this.#maxBytes) {
      this.#drop(this.#oldest);
      this.#evictions++;
    }
    const slot: Slot = {
      name: nameOf(key),
      encoded,
      bytes,
      expiresAt,
      putAt: performance.now(),
      sequence: this.#sequence++,
      owner: pairOf(markOf(entry.namespace), markOf(entry.consumer)),
      models: pairOf(markOf(entry.model), markOf(entry.requestedModel)),
      hits: 0,
      decoded: null,
      older: null,
      newer: null,
    };
    // Never the bare bytes: node-cache counts what it is given with Object.keys, a string a byte.
    this.#shardOf(slot.name).set(slot.name, slot);
    this.#append(slot);
    this.#entries++;
    this.#bytes += bytes;
    this.#timer ??= setInterval(() => this.sweep(), sweepMs).unref();
    return true;
  }

  async delete(key: string): Promise<boolean> {
    this.#purges.add({ key });
    const slot = this.#find(key);
    if (slot !== undefined) this.#drop(slot);
    return slot !== undefined && slot.expiresAt > this.#now();
  }

  /** `begin` spares all keys that do not begin with it; without one, keys with a space, which are other stores'. */
  async purge(filter: EntryFilter, dryRun = false, begin = ''): Promise<number> {
    // What is under another beginning is another store's, and so is the memory of it.
    if (!dryRun && begin === '') this.#purges.add({ filter });
    const matches = matcher(filter, begin);
    let purged = 0;
    let looked = 0;
    for (const slot of this.#each()) {
      const isLive = slot.expiresAt > this.#now();
      if (matches(slot)) {
        if (isLive) purged++;
        if (!dryRun) this.#drop(slot);
      }
      if (++looked % lookStep === 0) await othersRan();
    }
    return purged;
  }

  async list(filter: EntryFilter, { limit, cursor }: PageRequest): Promise<Page> {
    // Whoever asks for page after page lets others run between them.
    await othersRan();
    const matches = matcher(filter, '');
    const entries: ListedEntry[] = [];
    let last = cursor === null ? { shard: 0, sequence: -1 } : readCursor(cursor);
    let looked = 0;
    for (let shard = last.shard; shard < this.#shards.length; shard++) {
      for (const slot of this.#inShard(shard)) {
        if (shard === last.shard && slot.sequence <= last.sequence) continue;
        if (slot.expiresAt > this.#now() && matches(slot)) {
          // One more than is asked for tells that there is another page.
          if (entries.length === limit) return { entries, cursor: cursorAt(last) };
          const listed = listedOf(slot);
          if (listed !== undefined) entries.push(listed);
        }
        last = { shard, sequence: slot.sequence };
        if (++looked % lookStep === 0) await othersRan();
        if (looked >= maxLookedAt) return { entries, cursor: cursorAt(last) };
      }
    }
    return { entries, cursor: null };
  }

  async *entries(filter: EntryFilter): AsyncGenerator<StoredEntry, void> {
    const matches = matcher(filter, '');
    let looked = 0;
    for (const slot of this.#each()) {
      if (slot.expiresAt > this.#now() && matches(slot)) {
        const entry = decodeEntry(slot.encoded);
        if (entry !== undefined) yield { key: keyIn(slot.name), entry };
      }
      if (++looked % lookStep === 0) await othersRan();
    }
  }

  async look(key: string): Promise<ListedEntry | undefined> {
    const slot = this.#find(key);
    return slot !== undefined && slot.expiresAt > this.#now() ? listedOf(slot) : undefined;
  }

  used(key: string, entry: CachedResponse): void {
    const slot = this.#find(key);
    // Another may have taken its place: an entry's body is a view of the bytes that are kept.
    if (slot !== undefined && slot.encoded.buffer === entry.body.buffer) slot.hits++;
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
      healthy: true,
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
    for (let shard = 0; shard < this.#shards.length; shard++) yield* this.#inShard(shard);
  }

  *#inShard(index: number): Generator<Slot, void> {
    const shard = this.#shards[index];
    for (const name of shard?.keys() ?? []) {
      const slot = shard?.get<Slot>(name);
      if (slot !== undefined) yield slot;
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

function othersRan(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A number of 15 bits, two of which need no memory of their own. */
function markOf(text: string | null): number {
  let hash = text === null ? 1 : 0;
  for (let at = 0; at < (text ?? '').length; at++) {
    hash = (hash * 31 + (text ?? '').charCodeAt(at)) & 0x3fffffff;
  }
  return hash & 0x7fff;
}

function pairOf(high: number, low: number): number {
  return (high << 15) | low;
}

const highOf = (pair: number) => pair >> 15;
const lowOf = (pair: number) => pair & 0x7fff;

/** Whether a slot is under `begin` and has what the filter asks for. What cannot be read matches: rather thrown out than kept. */
function matcher(filter: EntryFilter, begin: string): (slot: Slot) => boolean {
  const under = nameOf(begin);
  const isUnder = (name: string) => (begin === '' ? !name.includes(' ') : name.startsWith(under));
  const { namespace, model, consumer } = filter;
  if (namespace === undefined && model === undefined && consumer === undefined) {
    return ({ name }) => isUnder(name);
  }
  const namespaceMark = markOf(namespace ?? null);
  const modelMark = markOf(model ?? null);
  const consumerMark = markOf(consumer ?? null);
  return ({ name, owner, models, encoded }) => {
    if (namespace !== undefined && highOf(owner) !== namespaceMark) return false;
    if (consumer !== undefined && lowOf(owner) !== consumerMark) return false;
    if (model !== undefined && highOf(models) !== modelMark && lowOf(models) !== modelMark) {
      return false;
    }
    if (!isUnder(name)) return false;
    const head = decodeHead(encoded)?.head;
    return head === undefined || matchesFilter(head, filter);
  };
}

function entryIn(slot: Slot): CachedResponse | undefined {
  const known = slot.decoded?.deref();
  if (known !== undefined) return known;
  const entry = decodeEntry(slot.encoded);
  if (entry !== undefined) slot.decoded = new WeakRef(entry);
  return entry;
}

function listedOf({ name, encoded, hits }: Slot): ListedEntry | undefined {
  const decoded = decodeHead(encoded);
  if (decoded === undefined) return undefined;
  const bytes = encoded.length - decoded.bodyStart;
  return { key: keyIn(name), head: decoded.head, bytes, hits };
}

interface Position {
  readonly shard: number;
  readonly sequence: number;
}

function cursorAt({ shard, sequence }: Position): string {
  return `${shard}.${sequence}`;
}

function readCursor(cursor: string): Position {
  const [, shard, sequence] = /^(\d{1,4})\.(-?\d{1,16})$/.exec(cursor) ?? [];
  if (shard === undefined) throw new UnknownCursor();
  return { shard: Number(shard), sequence: Number(sequence) };
}

/** node-cache keeps keys in a plain object, where `constructor` and `__proto__` mean something. */
function nameOf(key: string): string {
  return `=${key}`;
}

function keyIn(name: string): string {
  return name.slice(1);
}
