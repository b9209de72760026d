import { type CachedResponse, decodeEntry, decodeHead, encodeEntry } from '../entry.ts';
import { PurgeLog } from './purge-log.ts';
import {
  type EntryFilter,
  type ListedEntry,
  matchesFilter,
  type Page,
  type PageRequest,
  type Store,
  type StoreStats,
  UnknownCursor,
} from './store.ts';

export interface MapStoreOptions {
  /** What all entries together may take, in bytes. */
  readonly maxBytes: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** What an entry takes beside its bytes and its key's, roughly. */
const overheadBytes = 400;

/** How many entries a write looks at, for those that have expired. */
const sweepStep = 4;

interface Slot {
  readonly key: string;
  readonly encoded: Uint8Array;
  readonly bytes: number;
  readonly expiresAt: number;
  /** In the order of their coming. */
  readonly sequence: number;
  hits: number;
}

/**
 * Entries in this process's memory, in a Map whose order is that of their use. For where there is
 * no Node and no timer outlives a request: what has expired goes when it is met.
 */
export class MapStore implements Store {
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** Least recently used first. */
  readonly #slots = new Map<string, Slot>();
  readonly #purges: PurgeLog;
  #sweeping: Iterator<Slot> | null = null;
  #bytes = 0;
  #sequence = 0;
  #evictions = 0;
  #refused = 0;

  constructor({ maxBytes, now = Date.now }: MapStoreOptions) {
    this.#maxBytes = maxBytes;
    this.#now = now;
    this.#purges = new PurgeLog(now);
  }

  async get(key: string): Promise<CachedResponse | undefined> {
    return this.getNow(key);
  }

  getNow(key: string): CachedResponse | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    const entry = this.#isLive(slot) ? decodeEntry(slot.encoded) : undefined;
    if (entry === undefined) {
      this.#drop(slot);
      return undefined;
    }
    this.#slots.delete(key);
    this.#slots.set(key, slot);
    return entry;
  }

  async set(key: string, entry: CachedResponse, askedAt = this.#now()): Promise<boolean> {
    if (this.#purges.covers(key, entry, askedAt)) return true;
    const before = this.#slots.get(key);
    const head = before && decodeHead(before.encoded)?.head;
    if (head !== undefined && head.storedAt > askedAt) return true;
    const encoded = encodeEntry(entry);
    const bytes = encoded.length + key.length + overheadBytes;
    if (bytes > this.#maxBytes) {
      this.#refused++;
      return false;
    }
    if (before !== undefined) this.#drop(before);
    this.#sweep();
    this.#makeRoom(bytes);
    const sequence = this.#sequence++;
    const { expiresAt } = entry;
    this.#slots.set(key, { key, encoded, bytes, expiresAt, sequence, hits: 0 });
    this.#bytes += bytes;
    return true;
  }

  async delete(key: string): Promise<boolean> {
    this.#purges.add({ key });
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#drop(slot);
    return this.#isLive(slot);
  }

  async purge(filter: EntryFilter, dryRun = false): Promise<number> {
    if (!dryRun) this.#purges.add({ filter });
    const matching = [...this.#slots.values()].filter((slot) => matches(slot, filter));
    const live = matching.filter((slot) => this.#isLive(slot)).length;
    if (!dryRun) for (const slot of matching) this.#drop(slot);
    return live;
  }

  async list(filter: EntryFilter, { limit, cursor }: PageRequest): Promise<Page> {
    const after = cursor === null ? -1 : readCursor(cursor);
    const found = [...this.#slots.values()]
      .filter((slot) => slot.sequence > after && this.#isLive(slot) && matches(slot, filter))
      .toSorted((one, other) => one.sequence - other.sequence);
    const page = found.slice(0, limit);
    const last = found.length > limit ? page.at(-1) : undefined;
    const entries = page.map(listed).filter((entry) => entry !== undefined);
    return { entries, cursor: last === undefined ? null : `s${last.sequence}` };
  }

  async look(key: string): Promise<ListedEntry | undefined> {
    const slot = this.#slots.get(key);
    return slot !== undefined && this.#isLive(slot) ? listed(slot) : undefined;
  }

  used(key: string, entry: CachedResponse): void {
    const slot = this.#slots.get(key);
    // Another may have taken its place: an entry's body is a view of the bytes that are kept.
    if (slot !== undefined && slot.encoded.buffer === entry.body.buffer) slot.hits++;
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
      healthy: true,
    };
  }

  async close(): Promise<void> {
    this.#slots.clear();
    this.#sweeping = null;
    this.#bytes = 0;
  }

  #isLive({ expiresAt }: Slot): boolean {
    return expiresAt > this.#now();
  }

  #makeRoom(bytes: number): void {
    for (const oldest of this.#slots.values()) {
      if (this.#bytes + bytes <= this.#maxBytes) return;
      this.#drop(oldest);
      this.#evictions++;
    }
  }

  #sweep(): void {
    for (let looked = 0; looked < sweepStep; looked++) {
      this.#sweeping ??= this.#slots.values();
      const { value: slot, done } = this.#sweeping.next();
      if (done) {
        this.#sweeping = null;
        return;
      }
      if (!this.#isLive(slot)) this.#drop(slot);
    }
  }

  #drop(slot: Slot): void {
    this.#slots.delete(slot.key);
    this.#bytes -= slot.bytes;
  }
}

/** What cannot be read matches: rather thrown out than kept. */
function matches({ encoded }: Slot, filter: EntryFilter): boolean {
  const head = decodeHead(encoded)?.head;
  return head === undefined || matchesFilter(head, filter);
}

function listed({ key, encoded, hits }: Slot): ListedEntry | undefined {
  const decoded = decodeHead(encoded);
  if (decoded === undefined) return undefined;
  return { key, head: decoded.head, bytes: encoded.length - decoded.bodyStart, hits };
}

function readCursor(cursor: string): number {
  const [, sequence] = /^s(\d{1,15})$/.exec(cursor) ?? [];
  if (sequence === undefined) throw new UnknownCursor();
  return Number(sequence);
}
