import type { CachedResponse } from '../../entry.ts';
import { isSentCompressed } from '../../compressed-hits.ts';
import type { EntryFilter, ListedEntry } from '../store.ts';
import { type Form, formOf } from './form.ts';
import { freshUntilIn, packEntry, storedAtIn, unpackEntry, withBody } from './packed-entry.ts';
import { PagedItems, PagedNumbers } from './paged.ts';
import { RecentEntries } from './recent-entries.ts';
import { SharedItems } from './shared-items.ts';
import type { Codec } from './compression-queue.ts';

/** What the columns of a slot take, including those of the order and the expiry. A free slot keeps them. */
const bytesOfSlot = 90;
/** Up to this many free slots are neither counted nor released. */
export const negligibleSlots = 1000;

/** Roughly what a form takes in addition to its text. */
const formBytes = 400;

/** An entry that is packed, but not in a slot yet. */
export interface Prepared {
  readonly packed: ArrayBuffer;
  /** A view of the body in `packed`. */
  readonly body: Uint8Array;
  readonly form: Form;
  readonly formKey: string;
  readonly consumer: string | null;
  /** The bytes of its form and consumer, in case no other entry shares them. */
  readonly sharedBytes: number;
}

/**
 * Holds the entries, each in a slot: a number that is the index into every column. An entry's own
 * data is packed into one buffer. Entries share what they have in common: form and consumer.
 */
export class Slots {
  /** When each slot was taken, by `performance.now()`. */
  readonly putAt = new PagedNumbers(Float64Array);
  readonly #hits = new PagedNumbers(Uint32Array);
  readonly #keys = new PagedItems<string>();
  readonly #packed = new PagedItems<ArrayBuffer>();
  readonly #formOf = new PagedNumbers(Uint32Array);
  /** 0 if the entry has no consumer. */
  readonly #consumerOf = new PagedNumbers(Uint32Array);
  readonly #forms = new SharedItems<Form>(formBytes);
  readonly #consumers = new SharedItems<string>(0);
  readonly #recent: RecentEntries;
  /** Recent entries that are sent compressed. Their bodies are views of the stored bytes, which takes no more memory. */
  readonly #recentCompressed: RecentEntries;
  /** 1 if the body is compressed. */
  readonly #isCompressed = new PagedNumbers(Uint8Array);
  readonly #free = new PagedNumbers(Uint32Array);
  readonly #codec: Codec | null;
  #freeCount = 0;
  #end = 0;

  constructor(maxBytes: number, codec: Codec | null) {
    this.#codec = codec;
    this.#recent = new RecentEntries(maxBytes);
    this.#recentCompressed = new RecentEntries(codec === null ? 0 : maxBytes);
  }

  get entries(): number {
    return this.#end - this.#freeCount;
  }

  /** One more than the highest slot that was ever in use. */
  get end(): number {
    return this.#end;
  }

  /** The bytes that no entry is charged for: shared items, free slots and expanded bodies. */
  get otherBytes(): number {
    const free = Math.max(0, this.#freeCount - negligibleSlots);
    return this.#forms.bytes + this.#consumers.bytes + free * bytesOfSlot + this.#recent.bytes;
  }

  /** Packs an entry for a slot. */
  prepare(entry: CachedResponse): Prepared {
    const { consumer } = entry;
    const form = formOf(entry);
    const formKey = JSON.stringify(form);
    const consumerBytes = consumer === null ? 0 : this.#consumers.bytesOf(consumer);
    const sharedBytes = this.#forms.bytesOf(formKey) + consumerBytes;
    const bytes = packEntry(entry);
    const body = bytes.subarray(bytes.length - entry.body.length);
    return { packed: bytes.buffer, body, form, formKey, consumer, sharedBytes };
  }

  /** Puts an entry into a slot: the one freed last, if any is free. */
  take(key: string, { packed, form, formKey, consumer }: Prepared): number {
    const slot = this.#freeCount > 0 ? this.#free.get(--this.#freeCount) : this.#end++;
    this.#keys.set(slot, key);
    this.#packed.set(slot, packed);
    this.#formOf.set(
      slot,
      this.#forms.acquire(formKey, () => form),
    );
    if (consumer !== null) {
      this.#consumerOf.set(
        slot,
        this.#consumers.acquire(consumer, () => consumer),
      );
    }
    this.putAt.set(slot, performance.now());
    this.#hits.set(slot, 0);
    if (this.#isCompressed.get(slot) === 1) this.#isCompressed.set(slot, 0);
    return slot;
  }

  free(slot: number): void {
    const consumer = this.#consumerOf.get(slot);
    this.#forms.release(this.#formOf.get(slot));
    this.#formOf.set(slot, 0);
    // Most stores have no consumers: do not allocate the column for them.
    if (consumer !== 0) {
      this.#consumers.release(consumer);
      this.#consumerOf.set(slot, 0);
    }
    this.#keys.set(slot, undefined);
    this.#packed.set(slot, undefined);
    this.#recent.drop(slot);
    this.#recentCompressed.drop(slot);
    this.#free.set(this.#freeCount++, slot);
  }

  keyOf(slot: number): string {
    return this.#keys.get(slot) ?? '';
  }

  /** The bytes of the packed entry and its key. */
  bytesOf(slot: number): number {
    return (this.#packed.get(slot)?.byteLength ?? 0) + this.keyOf(slot).length;
  }

  /**
   * Returns the entry, or undefined if it is gone or its body is damaged. With `takesGzip`, a body that
   * is worth sending compressed is returned compressed.
   */
  entry(slot: number, takesGzip = false): CachedResponse | undefined {
    const compressed =
      takesGzip && this.#isCompressed.get(slot) === 1 ? this.#compressed(slot) : null;
    return compressed ?? this.#recent.find(slot) ?? this.#read(slot);
  }

  /** Replaces the body, of `length` bytes, by its compressed form. */
  compress(slot: number, length: number, compressed: Uint8Array): void {
    const packed = this.#packed.get(slot);
    if (packed === undefined) return;
    this.#packed.set(slot, withBody(new Uint8Array(packed), length, compressed).buffer);
    this.#isCompressed.set(slot, 1);
    this.#recent.drop(slot);
  }

  /** When the entry ceases to be fresh, in milliseconds since the epoch. */
  freshUntil(slot: number): number {
    const packed = this.#packed.get(slot);
    return packed === undefined ? 0 : freshUntilIn(new Uint8Array(packed));
  }

  listed(slot: number): ListedEntry | undefined {
    const entry = this.#unpacked(slot);
    if (entry === undefined) return undefined;
    const { body, ...head } = entry;
    const isCompressed = this.#isCompressed.get(slot) === 1;
    const bytes = (isCompressed && this.#codec?.lengthOf(body)) || body.length;
    return { key: this.keyOf(slot), head, bytes, hits: this.#hits.get(slot) };
  }

  /** Whether the entry meets every condition of the filter. */
  matches(slot: number, { namespace, model, consumer }: EntryFilter): boolean {
    const form = this.#forms.of(this.#formOf.get(slot));
    if (form === undefined) return false;
    if (namespace !== undefined && form.namespace !== namespace) return false;
    if (consumer !== undefined && this.#consumer(slot) !== consumer) return false;
    return model === undefined || form.model === model || form.requestedModel === model;
  }

  /** Counts a hit, unless another entry has replaced this one. */
  used(slot: number, { body, storedAt }: CachedResponse): void {
    const packed = this.#packed.get(slot);
    if (packed === undefined) return;
    // An uncompressed body is a view of the stored bytes.
    const isSame =
      this.#isCompressed.get(slot) === 1
        ? storedAtIn(new Uint8Array(packed)) === storedAt
        : packed === body.buffer;
    if (isSame) this.#hits.set(slot, this.#hits.get(slot) + 1);
  }

  #consumer(slot: number): string | null {
    return this.#consumers.of(this.#consumerOf.get(slot)) ?? null;
  }

  /** The entry, with its body as it is stored. */
  #unpacked(slot: number): CachedResponse | undefined {
    const packed = this.#packed.get(slot);
    const form = this.#forms.of(this.#formOf.get(slot));
    if (packed === undefined || form === undefined) return undefined;
    return unpackEntry(new Uint8Array(packed), form, this.#consumer(slot));
  }

  #read(slot: number): CachedResponse | undefined {
    const stored = this.#unpacked(slot);
    if (stored === undefined) return undefined;
    const isCompressed = this.#isCompressed.get(slot) === 1;
    const entry = isCompressed ? this.#expand(stored) : stored;
    if (entry !== undefined) this.#recent.keep(slot, entry, isCompressed ? entry.body.length : 0);
    return entry;
  }

  /** Undefined if the body is not worth sending compressed. */
  #compressed(slot: number): CachedResponse | undefined {
    const known = this.#recentCompressed.find(slot);
    if (known !== undefined) return known;
    const stored = this.#unpacked(slot);
    const length = (stored && this.#codec?.lengthOf(stored.body)) ?? 0;
    if (stored === undefined || !isSentCompressed(stored, length, stored.body.length)) {
      return undefined;
    }
    const entry = Object.freeze({ ...stored, coding: 'gzip' } as const);
    this.#recentCompressed.keep(slot, entry, 0);
    return entry;
  }

  /** Undefined if the body is damaged. */
  #expand(stored: CachedResponse): CachedResponse | undefined {
    try {
      const body = this.#codec?.expand(stored.body);
      return body && Object.freeze({ ...stored, body });
    } catch {
      return undefined;
    }
  }
}
