import { type CachedResponse, decodeEntry, decodeHead, type EntryHead } from '../../entry.ts';
import type { ListedEntry } from '../store.ts';
import { markOf, pairOf } from './marks.ts';
import { PagedItems, PagedNumbers } from './paged.ts';

/** An entry on its way into a slot. */
export interface Taken {
  readonly key: string;
  readonly encoded: Uint8Array;
  /** What it counts for. */
  readonly bytes: number;
  readonly entry: EntryHead;
}

/** So many entries are at hand as they were read last, as long as there is memory for them. */
const maxDecoded = 1000;

/** The entries, each in a slot: a number, by which all that is known of it is found. */
export class Slots {
  readonly bytes = new PagedNumbers(Uint32Array);
  /** When each was put in, by `performance.now()`. */
  readonly putAt = new PagedNumbers(Float64Array);
  /** Numbers that tell most entries apart from what a filter asks for, without reading them. */
  readonly owners = new PagedNumbers(Uint32Array);
  readonly models = new PagedNumbers(Uint32Array);
  readonly #hits = new PagedNumbers(Uint32Array);
  readonly #keys = new PagedItems<string>();
  readonly #encoded = new PagedItems<Uint8Array>();
  readonly #free = new PagedNumbers(Uint32Array);
  readonly #decoded = new Map<number, WeakRef<CachedResponse>>();
  #freeCount = 0;
  #end = 0;

  get entries(): number {
    return this.#end - this.#freeCount;
  }

  /** All slots that have ever been in use are below. */
  get end(): number {
    return this.#end;
  }

  /** The slot that was left last is taken first. */
  take({ key, encoded, bytes, entry }: Taken): number {
    const slot = this.#freeCount > 0 ? this.#free.get(--this.#freeCount) : this.#end++;
    this.#keys.set(slot, key);
    this.#encoded.set(slot, encoded);
    this.bytes.set(slot, bytes);
    this.putAt.set(slot, performance.now());
    this.owners.set(slot, pairOf(markOf(entry.namespace), markOf(entry.consumer)));
    this.models.set(slot, pairOf(markOf(entry.model), markOf(entry.requestedModel)));
    this.#hits.set(slot, 0);
    return slot;
  }

  free(slot: number): void {
    this.#keys.set(slot, undefined);
    this.#encoded.set(slot, undefined);
    this.#decoded.delete(slot);
    this.#free.set(this.#freeCount++, slot);
  }

  has(slot: number): boolean {
    return this.#keys.get(slot) !== undefined;
  }

  keyOf(slot: number): string {
    return this.#keys.get(slot) ?? '';
  }

  /** Undefined where it cannot be read. */
  entry(slot: number): CachedResponse | undefined {
    const known = this.#decoded.get(slot)?.deref();
    if (known !== undefined) return known;
    const encoded = this.#encoded.get(slot);
    const entry = encoded && decodeEntry(encoded);
    if (entry !== undefined) this.#remember(slot, entry);
    return entry;
  }

  head(slot: number): EntryHead | undefined {
    const encoded = this.#encoded.get(slot);
    return encoded && decodeHead(encoded)?.head;
  }

  /** Milliseconds since the epoch; 0 where it cannot be read. */
  freshUntil(slot: number): number {
    return this.head(slot)?.freshUntil ?? 0;
  }

  listed(slot: number): ListedEntry | undefined {
    const encoded = this.#encoded.get(slot);
    const decoded = encoded && decodeHead(encoded);
    if (encoded === undefined || decoded === undefined) return undefined;
    const bytes = encoded.length - decoded.bodyStart;
    return { key: this.keyOf(slot), head: decoded.head, bytes, hits: this.#hits.get(slot) };
  }

  /** The entry has answered a request. Another may have taken its place: its body is a view of the bytes that are kept. */
  used(slot: number, { body }: CachedResponse): void {
    if (this.#encoded.get(slot)?.buffer !== body.buffer) return;
    this.#hits.set(slot, this.#hits.get(slot) + 1);
  }

  #remember(slot: number, entry: CachedResponse): void {
    if (this.#decoded.size >= maxDecoded) {
      const [oldest] = this.#decoded.keys();
      if (oldest !== undefined) this.#decoded.delete(oldest);
    }
    this.#decoded.set(slot, new WeakRef(entry));
  }
}
