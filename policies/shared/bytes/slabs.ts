import type { ByteAccount } from './budget.ts';

/** Pieces from this size on are held as they are; smaller ones are copied into a shared slab. */
const minOwnBytes = 4096;
const minSlabBytes = 256;
const maxSlabBytes = 64 * 1024;

/** A run of bytes, linked to the next. */
interface Slab {
  readonly bytes: Uint8Array;
  /** How many of the bytes are filled. */
  used: number;
  /** The bytes of memory that this slab retains. */
  readonly charge: number;
  next: Slab | null;
  /** How many readers are at this slab. */
  readers: number;
}

function slabOf(bytes: Uint8Array, used: number, charge: number): Slab {
  return { bytes, used, charge, next: null, readers: 0 };
}

/**
 * The bytes of a body as they come, in pieces of any size, for their owner and for readers at
 * positions of their own. Small pieces are copied together, so that there are never many slabs and
 * no small piece retains a large buffer. Large pieces are held without a copy. All retained memory
 * is taken from `account` and given back when neither owner nor reader needs it.
 */
export class Slabs {
  /** How many bytes have been added. */
  size = 0;
  #account: ByteAccount;
  /** How many bytes there will be, if that is known. */
  readonly #expected: number;
  #head = slabOf(new Uint8Array(0), 0, 0);
  #tail = this.#head;
  #isKept = true;
  #readers = 0;
  #charged = 0;
  /** The capacity of the next slab for small pieces. */
  #slabBytes = 0;

  constructor(account: ByteAccount, expected: number | null = null) {
    this.#account = account;
    this.#expected = expected ?? Infinity;
  }

  /** Whether all bytes are still held, from the first on. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** The bytes that are held. */
  get chunks(): readonly Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let slab: Slab | null = this.#head; slab !== null; slab = slab.next) {
      if (slab.used > 0) chunks.push(slab.bytes.subarray(0, slab.used));
    }
    return chunks;
  }

  /** Adds `bytes` and returns true, or adds nothing and returns false if there is no room. */
  add(bytes: Uint8Array): boolean {
    if (bytes.length === 0 || this.#isUnread) return true;
    return isWorthKeeping(bytes, this.size === 0) ? this.#keep(bytes) : this.#copy(bytes);
  }

  /** Adds `bytes` even if there is no room, so that the account may be overdrawn. */
  force(bytes: Uint8Array): void {
    if (this.add(bytes)) return;
    const { length } = bytes;
    this.#account.give(-length);
    this.#append(slabOf(new Uint8Array(bytes), length, length));
    this.size += length;
  }

  /** Returns a reader of the bytes that are held, if all are, and of those to come. */
  reader(): SlabReader {
    this.#readers++;
    return new SlabReader(this, this.#isKept ? this.#head : this.#tail, this.#isKept);
  }

  /** Called when a reader has left a slab or has closed. */
  readerMoved(isClosed: boolean): void {
    if (isClosed) this.#readers--;
    this.#trim();
  }

  /** Gives up the owner's hold; bytes that readers have yet to read stay until then. */
  release(): void {
    this.#isKept = false;
    this.#trim();
  }

  /** Moves all charges to another account. Returns false, and changes nothing, if that has no room. */
  move(account: ByteAccount): boolean {
    if (!account.take(this.#charged)) return false;
    this.#account.give(this.#charged);
    this.#account = account;
    return true;
  }

  /** Releases the bytes when `pending` resolves; at once if it is null. */
  releaseBehind(pending: Promise<unknown> | null): void {
    if (pending === null) this.release();
    else void pending.then(() => this.release());
  }

  /** Joins the held bytes into one slab in place, and returns them. */
  joined(): Uint8Array<ArrayBuffer> {
    const bytes = this.join();
    this.#account.give(this.#charged - bytes.length);
    this.#head = this.#tail = slabOf(bytes, bytes.length, bytes.length);
    this.#charged = bytes.length;
    return bytes;
  }

  /** Returns a copy of the held bytes in one piece. */
  join(): Uint8Array<ArrayBuffer> {
    const joined = new Uint8Array(this.size);
    let at = 0;
    for (const chunk of this.chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }

  get #isUnread(): boolean {
    return !this.#isKept && this.#readers === 0;
  }

  #keep(bytes: Uint8Array): boolean {
    const charge = bytes.buffer.byteLength;
    if (!this.#account.take(charge)) return false;
    // If small and large pieces alternate, each slab holds few small ones, so the next may be smaller.
    this.#slabBytes = Math.min(this.#slabBytes, Math.max(minSlabBytes, this.#tail.used));
    this.#append(slabOf(bytes, bytes.length, charge));
    this.size += bytes.length;
    return true;
  }

  /** Copies a piece whole into one slab, so that a reader gets it in one piece. */
  #copy(bytes: Uint8Array): boolean {
    const { length } = bytes;
    if (this.#tail.bytes.length - this.#tail.used < length) {
      const slab = this.#slabFor(length);
      if (slab === null) return false;
      this.#append(slab);
    }
    this.#tail.bytes.set(bytes, this.#tail.used);
    this.#tail.used += length;
    this.size += length;
    return true;
  }

  /** Returns a slab with room for at least `bytes`; null if the account has none. */
  #slabFor(bytes: number): Slab | null {
    const wanted = Math.min(this.#slabBytes, this.#expected - this.size);
    // Start small, because the first piece is often the whole body.
    this.#slabBytes = Math.min(Math.max(minSlabBytes, this.#slabBytes * 2), maxSlabBytes);
    for (const capacity of [Math.max(bytes, wanted), bytes]) {
      if (this.#account.take(capacity)) return slabOf(new Uint8Array(capacity), 0, capacity);
    }
    return null;
  }

  #append(slab: Slab): void {
    this.#charged += slab.charge;
    this.#tail.next = slab;
    this.#tail = slab;
    this.#trim();
  }

  /** Frees the slabs that neither the owner nor a reader needs. */
  #trim(): void {
    if (this.#isKept) return;
    while (this.#head.readers === 0 && this.#head.next !== null) {
      this.#refund(this.#head);
      this.#head = this.#head.next;
    }
    if (this.#readers > 0 || this.#head.charge === 0) return;
    this.#refund(this.#head);
    this.#head = this.#tail = slabOf(new Uint8Array(0), 0, 0);
  }

  #refund({ charge }: Slab): void {
    this.#charged -= charge;
    this.#account.give(charge);
  }
}

/** Reads from slabs at its own pace. */
export class SlabReader {
  readonly #slabs: Slabs;
  #slab: Slab;
  #at: number;
  #bytesRead: number;
  #isOpen = true;

  constructor(slabs: Slabs, slab: Slab, fromStart: boolean) {
    this.#slabs = slabs;
    this.#slab = slab;
    this.#at = fromStart ? 0 : slab.used;
    this.#bytesRead = fromStart ? 0 : slabs.size;
    slab.readers++;
  }

  /** How many bytes have been added but not read. */
  get behind(): number {
    return this.#isOpen ? this.#slabs.size - this.#bytesRead : 0;
  }

  /** Returns the next bytes, as many as are contiguous; null if there are none yet. */
  next(): Uint8Array | null {
    if (!this.#isOpen) return null;
    while (this.#at === this.#slab.used) {
      const { next } = this.#slab;
      if (next === null) return null;
      this.#slab.readers--;
      next.readers++;
      this.#slab = next;
      this.#at = 0;
      this.#slabs.readerMoved(false);
    }
    const bytes = this.#slab.bytes.subarray(this.#at, this.#slab.used);
    this.#at = this.#slab.used;
    this.#bytesRead += bytes.length;
    return bytes;
  }

  /** Stops reading, and releases what only this reader needed. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#slab.readers--;
    this.#slabs.readerMoved(true);
  }
}

/** Whether to hold a piece without a copy: it is large or first, and is at least half of its buffer. */
function isWorthKeeping(bytes: Uint8Array, isFirst: boolean): boolean {
  return (isFirst || bytes.length >= minOwnBytes) && bytes.buffer.byteLength <= 2 * bytes.length;
}
