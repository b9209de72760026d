import type { CachedResponse } from '../../entry.ts';
import { isSentCompressed } from '../../compressed-hits.ts';
import type { EntryFilter, ListedEntry } from '../store.ts';
import { AtHand } from './at-hand.ts';
import { type Form, formOf, hasForm } from './form.ts';
import { freshUntilIn, packEntry, storedAtIn, unpackEntry, withBody } from './packed-entry.ts';
import { PagedItems, PagedNumbers } from './paged.ts';
import { SharedItems } from './shared-items.ts';
import type { Codec } from './squeezer.ts';

/** What the columns of a slot take, those of the order and the expiry included. A free one keeps them. */
const bytesOfSlot = 90;
/** So many free ones are no matter. */
export const fewSlots = 1000;

/** What a form takes beside its text, roughly. */
const formBytes = 400;

interface KeyedForm {
  readonly form: Form;
  readonly key: string;
}

/** An entry on its way into a slot. */
export interface Prepared {
  readonly packed: ArrayBuffer;
  /** The entry's body in there. */
  readonly body: Uint8Array;
  readonly form: Form;
  readonly formKey: string;
  readonly consumer: string | null;
  /** What it has in common with others takes so much, if there are no others. */
  readonly sharedBytes: number;
}

/**
 * The entries, each in a slot: a number, by which all that is known of it is found. What is the
 * entry's own is one run of bytes; what it has in common with others they share.
 */
export class Slots {
  /** When each was put in, by `performance.now()`. */
  readonly putAt = new PagedNumbers(Float64Array);
  readonly #hits = new PagedNumbers(Uint32Array);
  readonly #keys = new PagedItems<string>();
  readonly #packed = new PagedItems<ArrayBuffer>();
  readonly #formOf = new PagedNumbers(Uint32Array);
  /** 0 where there is none. */
  readonly #consumerOf = new PagedNumbers(Uint32Array);
  readonly #forms = new SharedItems<Form>(formBytes);
  readonly #consumers = new SharedItems<string>(0);
  readonly #atHand: AtHand;
  /** The same of entries that are sent as they are kept, which takes nothing more. */
  readonly #compressedAtHand: AtHand;
  /** 1 where the body is compressed. */
  readonly #isSqueezed = new PagedNumbers(Uint8Array);
  readonly #free = new PagedNumbers(Uint32Array);
  readonly #codec: Codec | null;
  #freeCount = 0;
  #end = 0;
  #lastForm: KeyedForm | null = null;

  constructor(maxBytes: number, codec: Codec | null) {
    this.#codec = codec;
    this.#atHand = new AtHand(maxBytes);
    this.#compressedAtHand = new AtHand(codec === null ? 0 : maxBytes);
  }

  get entries(): number {
    return this.#end - this.#freeCount;
  }

  /** All slots that have ever been in use are below. */
  get end(): number {
    return this.#end;
  }

  /** What is held beside what the entries count for, in bytes: what they have in common, and slots that are free. */
  get otherBytes(): number {
    const free = Math.max(0, this.#freeCount - fewSlots);
    return this.#forms.bytes + this.#consumers.bytes + free * bytesOfSlot + this.#atHand.bytes;
  }

  /** What is to be kept of an entry. */
  prepare(entry: CachedResponse): Prepared {
    const { consumer } = entry;
    const { form, key: formKey } = this.#keyedFormOf(entry);
    const consumerBytes = consumer === null ? 0 : this.#consumers.bytesOf(consumer);
    const sharedBytes = this.#forms.bytesOf(formKey) + consumerBytes;
    const bytes = packEntry(entry);
    const body = bytes.subarray(bytes.length - entry.body.length);
    return { packed: bytes.buffer, body, form, formKey, consumer, sharedBytes };
  }

  /** An entry often has the form of the one before. */
  #keyedFormOf(entry: CachedResponse): KeyedForm {
    if (this.#lastForm === null || !hasForm(entry, this.#lastForm.form)) {
      const form = formOf(entry);
      this.#lastForm = { form, key: JSON.stringify(form) };
    }
    return this.#lastForm;
  }

  /** The slot that was left last is taken first. */
  take(key: string, { packed, form, formKey, consumer }: Prepared): number {
    const slot = this.#freeCount > 0 ? this.#free.get(--this.#freeCount) : this.#end++;
    this.#keys.set(slot, key);
    this.#packed.set(slot, packed);
    this.#formOf.set(
      slot,
      this.#forms.take(formKey, () => form),
    );
    if (consumer !== null) {
      this.#consumerOf.set(
        slot,
        this.#consumers.take(consumer, () => consumer),
      );
    }
    this.putAt.set(slot, performance.now());
    this.#hits.set(slot, 0);
    if (this.#isSqueezed.get(slot) === 1) this.#isSqueezed.set(slot, 0);
    return slot;
  }

  free(slot: number): void {
    const consumer = this.#consumerOf.get(slot);
    this.#forms.letGo(this.#formOf.get(slot));
    this.#formOf.set(slot, 0);
    // Most stores have none, and no column for them.
    if (consumer !== 0) {
      this.#consumers.letGo(consumer);
      this.#consumerOf.set(slot, 0);
    }
    this.#keys.set(slot, undefined);
    this.#packed.set(slot, undefined);
    this.#atHand.drop(slot);
    this.#compressedAtHand.drop(slot);
    this.#free.set(this.#freeCount++, slot);
  }

  keyOf(slot: number): string {
    return this.#keys.get(slot) ?? '';
  }

  /** The bytes of its own, those of its key included. */
  bytesOf(slot: number): number {
    return (this.#packed.get(slot)?.byteLength ?? 0) + this.keyOf(slot).length;
  }

  /** With its body as it is kept where `takesGzip` and it is compressed to some purpose. */
  entry(slot: number, takesGzip = false): CachedResponse | undefined {
    const compressed =
      takesGzip && this.#isSqueezed.get(slot) === 1 ? this.#compressed(slot) : null;
    return compressed ?? this.#atHand.find(slot) ?? this.#read(slot);
  }

  /** Keeps the body, of so many bytes, compressed. */
  squeeze(slot: number, length: number, squeezed: Uint8Array): void {
    const packed = this.#packed.get(slot);
    if (packed === undefined) return;
    this.#packed.set(slot, withBody(new Uint8Array(packed), length, squeezed).buffer);
    this.#isSqueezed.set(slot, 1);
    this.#atHand.drop(slot);
  }

  /** Until when the entry is fresh, in milliseconds since the epoch. */
  freshUntil(slot: number): number {
    const packed = this.#packed.get(slot);
    return packed === undefined ? 0 : freshUntilIn(new Uint8Array(packed));
  }

  listed(slot: number): ListedEntry | undefined {
    const entry = this.#unpacked(slot);
    if (entry === undefined) return undefined;
    const { body, ...head } = entry;
    const isSqueezed = this.#isSqueezed.get(slot) === 1;
    const bytes = (isSqueezed && this.#codec?.lengthOf(body)) || body.length;
    return { key: this.keyOf(slot), head, bytes, hits: this.#hits.get(slot) };
  }

  /** Whether the entry has all that the filter asks for. */
  matches(slot: number, { namespace, model, consumer }: EntryFilter): boolean {
    const form = this.#forms.of(this.#formOf.get(slot));
    if (form === undefined) return false;
    if (namespace !== undefined && form.namespace !== namespace) return false;
    if (consumer !== undefined && this.#consumer(slot) !== consumer) return false;
    return model === undefined || form.model === model || form.requestedModel === model;
  }

  /** The entry has answered a request, unless another has taken its place. */
  used(slot: number, { body, storedAt }: CachedResponse): void {
    const packed = this.#packed.get(slot);
    if (packed === undefined) return;
    // What was never compressed is a view of the bytes that are kept.
    const isSame =
      this.#isSqueezed.get(slot) === 1
        ? storedAtIn(new Uint8Array(packed)) === storedAt
        : packed === body.buffer;
    if (isSame) this.#hits.set(slot, this.#hits.get(slot) + 1);
  }

  #consumer(slot: number): string | null {
    return this.#consumers.of(this.#consumerOf.get(slot)) ?? null;
  }

  /** The entry, its body as it is kept. */
  #unpacked(slot: number): CachedResponse | undefined {
    const packed = this.#packed.get(slot);
    const form = this.#forms.of(this.#formOf.get(slot));
    if (packed === undefined || form === undefined) return undefined;
    return unpackEntry(new Uint8Array(packed), form, this.#consumer(slot));
  }

  #read(slot: number): CachedResponse | undefined {
    const stored = this.#unpacked(slot);
    if (stored === undefined) return undefined;
    const isSqueezed = this.#isSqueezed.get(slot) === 1;
    const entry = isSqueezed ? this.#expand(stored) : stored;
    if (entry !== undefined) this.#atHand.keep(slot, entry, isSqueezed ? entry.body.length : 0);
    return entry;
  }

  /** Undefined where its body is too short to be sent compressed. */
  #compressed(slot: number): CachedResponse | undefined {
    const known = this.#compressedAtHand.find(slot);
    if (known !== undefined) return known;
    const stored = this.#unpacked(slot);
    const length = (stored && this.#codec?.lengthOf(stored.body)) ?? 0;
    if (stored === undefined || !isSentCompressed(stored, length, stored.body.length)) {
      return undefined;
    }
    const entry = Object.freeze({ ...stored, coding: 'gzip' } as const);
    this.#compressedAtHand.keep(slot, entry, 0);
    return entry;
  }

  /** Undefined where its body cannot be had any more. */
  #expand(stored: CachedResponse): CachedResponse | undefined {
    try {
      const body = this.#codec?.expand(stored.body);
      return body && Object.freeze({ ...stored, body });
    } catch {
      return undefined;
    }
  }
}
