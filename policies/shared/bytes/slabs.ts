import type { ByteAccount } from './budget.ts';

/** Pieces from this size on are held as they are; smaller ones are copied together. */
const minOwnBytes = 4096;
const minSlabBytes = 256;
const maxSlabBytes = 64 * 1024;

/** Some bytes in a row, and what comes behind them. */
interface Slab {
  readonly bytes: Uint8Array;
  /** How many of them are filled. */
  used: number;
  /** What they keep in memory. */
  readonly charge: number;
  next: Slab | null;
  /** Who has yet to read from here on. */
  readers: number;
}

function slabOf(bytes: Uint8Array, used: number, charge: number): Slab {
  return { bytes, used, charge, next: null, readers: 0 };
}

/**
 * The bytes of a body as they come, in pieces of any size, for their keeper and for readers
 * that are each at a place of their own. Small pieces are copied together, so that there are never
 * many, and a piece is not what keeps a large buffer in memory; large ones are held as they are. What
 * they keep in memory is taken from `account`, and given back when it is needed no more.
 */
export class Slabs {
  /** How many bytes have come. */
  size = 0;
  #account: ByteAccount;
  /** How many there will be, where that was told. */
  readonly #expected: number;
  #head = slabOf(new Uint8Array(0), 0, 0);
  #tail = this.#head;
  #isKept = true;
  #readers = 0;
  #charged = 0;
  /** What the next slab for small pieces shall have room for. */
  #slabBytes = 0;

  constructor(account: ByteAccount, expected: number | null = null) {
    this.#account = account;
    this.#expected = expected ?? Infinity;
  }

  /** Whether all is still there from the first byte on. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** All that is kept. */
  get chunks(): readonly Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let slab: Slab | null = this.#head; slab !== null; slab = slab.next) {
      if (slab.used > 0) chunks.push(slab.bytes.subarray(0, slab.used));
    }
    return chunks;
  }

  /** Adds `bytes` and says true, or adds nothing and says false: there is no room for them. */
  add(bytes: Uint8Array): boolean {
    if (bytes.length === 0 || this.#isUnread) return true;
    return isWorthKeeping(bytes, this.size === 0) ? this.#keep(bytes) : this.#copy(bytes);
  }

  /** Adds `bytes`, whether there is room for them or not. */
  force(bytes: Uint8Array): void {
    if (this.add(bytes)) return;
    const { length } = bytes;
    this.#account.give(-length);
    this.#append(slabOf(new Uint8Array(bytes), length, length));
    this.size += length;
  }

  /** A reader of all that is kept, and of what comes. */
  reader(): SlabReader {
    this.#readers++;
    return new SlabReader(this, this.#isKept ? this.#head : this.#tail, this.#isKept);
  }

  /** A reader has gone on, or closed. */
  left(isClosed: boolean): void {
    if (isClosed) this.#readers--;
    this.#trim();
  }

  /** Keeps it no more; what readers have not read is there until they have. */
  release(): void {
    this.#isKept = false;
    this.#trim();
  }

  /** Accounts for all of it elsewhere from now on. False where there is no room, and nothing changes. */
  move(account: ByteAccount): boolean {
    if (!account.take(this.#charged)) return false;
    this.#account.give(this.#charged);
    this.#account = account;
    return true;
  }

  /** Lets go of it when `pending` is settled; at once where nothing is. */
  releaseBehind(pending: Promise<unknown> | null): void {
    if (pending === null) this.release();
    else void pending.then(() => this.release());
  }

  /** All that is kept, in one piece, which takes its place. */
  joined(): Uint8Array<ArrayBuffer> {
    const bytes = this.join();
    this.#account.give(this.#charged - bytes.length);
    this.#head = this.#tail = slabOf(bytes, bytes.length, bytes.length);
    this.#charged = bytes.length;
    return bytes;
  }

  /** A copy of all that is kept, in one piece. */
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
    // Where small and large ones take turns, a slab is not for many.
    this.#slabBytes = Math.min(this.#slabBytes, Math.max(minSlabBytes, this.#tail.used));
    this.#append(slabOf(bytes, bytes.length, charge));
    this.size += bytes.length;
    return true;
  }

  /** A piece stays one, so that who reads along gets it in one. */
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

  /** A slab with room for so many bytes, or for more; null where the account has none. */
  #slabFor(bytes: number): Slab | null {
    const wanted = Math.min(this.#slabBytes, this.#expected - this.size);
    // The first is often all there is.
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

  /** Lets go of what is not kept and what no reader has yet to read. */
  #trim(): void {
    if (this.#isKept) return;
    while (this.#head.readers === 0 && this.#head.next !== null) {
      this.#giveBack(this.#head);
      this.#head = this.#head.next;
    }
    if (this.#readers > 0 || this.#head.charge === 0) return;
    this.#giveBack(this.#head);
    this.#head = this.#tail = slabOf(new Uint8Array(0), 0, 0);
  }

  #giveBack({ charge }: Slab): void {
    this.#charged -= charge;
    this.#account.give(charge);
  }
}

/** One who reads from slabs, at a pace of its own. */
export class SlabReader {
  readonly #slabs: Slabs;
  #slab: Slab;
  #at: number;
  #taken: number;
  #isOpen = true;

  constructor(slabs: Slabs, slab: Slab, fromStart: boolean) {
    this.#slabs = slabs;
    this.#slab = slab;
    this.#at = fromStart ? 0 : slab.used;
    this.#taken = fromStart ? 0 : slabs.size;
    slab.readers++;
  }

  /** How many bytes have come that it has not taken. */
  get behind(): number {
    return this.#isOpen ? this.#slabs.size - this.#taken : 0;
  }

  /** The next bytes, as many as are there in one piece; null where there are none now. */
  next(): Uint8Array | null {
    if (!this.#isOpen) return null;
    while (this.#at === this.#slab.used) {
      const { next } = this.#slab;
      if (next === null) return null;
      this.#slab.readers--;
      next.readers++;
      this.#slab = next;
      this.#at = 0;
      this.#slabs.left(false);
    }
    const bytes = this.#slab.bytes.subarray(this.#at, this.#slab.used);
    this.#at = this.#slab.used;
    this.#taken += bytes.length;
    return bytes;
  }

  /** Reads no more. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#slab.readers--;
    this.#slabs.left(true);
  }
}

/** Whether most of what `bytes` keep in memory are themselves, and there are not many such pieces. */
function isWorthKeeping(bytes: Uint8Array, isFirst: boolean): boolean {
  return (isFirst || bytes.length >= minOwnBytes) && bytes.buffer.byteLength <= 2 * bytes.length;
}
