import { textOf } from '../bytes/utf8.ts';
import { decimalForm } from './decimal.ts';

/** The deepest nesting that has a canonical form. */
export const maxDepth = 500;
/** The most values in one body that has a canonical form. */
export const maxValues = 100_000;
/** Bounds for an object whose members must be sorted: how many, and the bytes of their names. */
const maxSorted = 4096;
const maxSortedNameBytes = 256 * 1024;
/** How many times, on average, sorting may move a byte of the body. */
const maxMoves = 8;
/** The longest number, in bytes. */
const maxNumberBytes = 4096;
/** Up to this many members, an insertion sort is faster than the platform's sort. */
const maxInserted = 16;
/** Up to this many bytes, a loop copies faster than `set`. */
const maxLoopBytes = 40;
/** The largest buffer that is kept for the next body. */
const maxSpareBytes = 2 ** 21;

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;

/** The letters of the short escapes that JSON.stringify writes, by code unit. */
const shortEscapes: Readonly<Record<number, number>> = {
  0x08: 0x62,
  0x09: 0x74,
  0x0a: 0x6e,
  0x0c: 0x66,
  0x0d: 0x72,
  0x22: quote,
  0x5c: backslash,
};

/** The buffer of the last writer that was released, for the next writer to reuse. */
let spare: Uint8Array | null = null;
const nothing = new Uint8Array(0);

/**
 * Writes one JSON value in canonical form, piece by piece, into a buffer of its own: without white
 * space, members sorted by the bytes of their names, strings as JSON.stringify writes them, numbers
 * by their decimal value. The result is JSON, and its own canonical form. If a part has no canonical
 * form or would take too much work, `isOpen` becomes false and the writer ignores all later calls.
 */
export class CanonicalWriter {
  isOpen = true;
  /** How many bytes sorting has moved. */
  moves = 0;
  readonly #maxMoves: number;
  #out: Uint8Array;
  #length = 0;
  #values = 0;
  /** Where the member names of all open objects begin and end. */
  readonly #nameStarts: number[] = [];
  readonly #nameEnds: number[] = [];
  /** How many of those names are in use. */
  #names = 0;
  /** By depth: the index of an object's first member in those lists; -1 for an array. */
  readonly #firstMembers: number[] = [];
  /** By depth: whether the members have come in order so far. */
  readonly #inOrder: boolean[] = [];
  /** How many objects and arrays are open. */
  #depth = 0;
  /** An escaped high surrogate that a low one may follow; else 0. */
  #high = 0;

  /** `size` is an upper bound of the bytes to be written in all. */
  constructor(size: number) {
    this.#maxMoves = maxMoves * Math.max(size, 1024);
    this.#out = spare ?? new Uint8Array(Math.min(size + size / 8 + 1024, maxSpareBytes));
    spare = null;
  }

  /** How many bytes have been written since the last `clear`. */
  get length(): number {
    return this.#length;
  }

  get bytes(): Uint8Array {
    return this.#out.subarray(0, this.#length);
  }

  get text(): string {
    return textOf(this.#out, 0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  giveUp(): void {
    this.isOpen = false;
    this.release();
    this.#nameStarts.length = this.#nameEnds.length = 0;
  }

  /** Gives the buffer back. Nothing may be read or written afterwards. */
  release(): void {
    if (this.#out !== nothing && this.#out.length <= maxSpareBytes) spare = this.#out;
    this.#out = nothing;
    this.#length = 0;
  }

  open(bracket: number, isObject: boolean): void {
    this.#countValue();
    if (!this.isOpen) return;
    const depth = this.#depth++;
    if (depth >= maxDepth - 1) return this.giveUp();
    this.#firstMembers[depth] = isObject ? this.#names : -1;
    this.#inOrder[depth] = true;
    this.#byte(bracket);
  }

  close(bracket: number): void {
    if (!this.isOpen) return;
    const depth = --this.#depth;
    const first = this.#firstMembers[depth] as number;
    if (first >= 0) {
      if (this.#inOrder[depth] === false) this.#sort(first);
      if (!this.isOpen) return;
      this.#names = first;
    }
    this.#byte(bracket);
  }

  /** Writes a comma or a colon. */
  separator(byte: number): void {
    if (this.isOpen) this.#byte(byte);
  }

  literal(bytes: Uint8Array, from: number, to: number): void {
    this.#countValue();
    if (this.isOpen) this.#copy(bytes, from, to);
  }

  number(bytes: Uint8Array, from: number, to: number): void {
    this.#countValue();
    if (!this.isOpen) return;
    if (to - from > maxNumberBytes) return this.giveUp();
    this.#reserve(to - from + 24);
    const length = decimalForm(bytes, from, to, this.#out, this.#length);
    if (length < 0) this.giveUp();
    else this.#length = length;
  }

  beginString(isName: boolean): void {
    if (!isName) this.#countValue();
    if (!this.isOpen) return;
    if (isName) this.#nameStarts[this.#names] = this.#length;
    this.#byte(quote);
  }

  endString(isName: boolean): void {
    if (!this.isOpen) return;
    this.#flushSurrogate();
    this.#byte(quote);
    if (isName) this.#endName();
  }

  /** Writes a string that is already canonical, with its quotes. */
  string(bytes: Uint8Array, from: number, to: number, isName: boolean): void {
    if (!isName) this.#countValue();
    if (!this.isOpen) return;
    if (isName) this.#nameStarts[this.#names] = this.#length;
    this.#copy(bytes, from, to);
    if (isName) this.#endName();
  }

  /** Called after a member's name is written: checks whether it sorts after the one before it. */
  #endName(): void {
    const last = this.#names++;
    this.#nameEnds[last] = this.#length;
    const depth = this.#depth - 1;
    if (last === this.#firstMembers[depth]) return;
    const order = this.#compare(last - 1, last);
    if (order === 0) this.giveUp();
    else if (order > 0) this.#inOrder[depth] = false;
  }

  /** Writes a part of a string that is already canonical. */
  run(bytes: Uint8Array, from: number, to: number): void {
    if (!this.isOpen || from === to) return;
    this.#flushSurrogate();
    this.#copy(bytes, from, to);
  }

  /** Writes a UTF-16 code unit that was escaped. */
  unit(unit: number): void {
    if (!this.isOpen) return;
    if (this.#high !== 0 && unit >= 0xdc00 && unit <= 0xdfff) {
      const point = 0x10000 + ((this.#high - 0xd800) << 10) + (unit - 0xdc00);
      this.#high = 0;
      return this.#utf8(point);
    }
    this.#flushSurrogate();
    if (unit >= 0xd800 && unit <= 0xdbff) this.#high = unit;
    else if (unit < 0x20 || unit === quote || unit === backslash || unit >> 11 === 0x1b) {
      this.#escape(unit);
    } else this.#utf8(unit);
  }

  /** Writes a high surrogate as an escape, because no low one follows it. */
  #flushSurrogate(): void {
    if (this.#high === 0) return;
    const high = this.#high;
    this.#high = 0;
    this.#escape(high);
  }

  #escape(unit: number): void {
    this.#byte(backslash);
    const short = shortEscapes[unit];
    if (short !== undefined) return this.#byte(short);
    this.#byte(0x75); // u
    for (const digit of unit.toString(16).padStart(4, '0')) this.#byte(digit.charCodeAt(0));
  }

  #utf8(point: number): void {
    if (point < 0x80) return this.#byte(point);
    if (point < 0x800) this.#byte(0xc0 | (point >> 6));
    else {
      if (point < 0x10000) this.#byte(0xe0 | (point >> 12));
      else {
        this.#byte(0xf0 | (point >> 18));
        this.#byte(0x80 | ((point >> 12) & 0x3f));
      }
      this.#byte(0x80 | ((point >> 6) & 0x3f));
    }
    this.#byte(0x80 | (point & 0x3f));
  }

  #countValue(): void {
    if (this.isOpen && ++this.#values > maxValues) this.giveUp();
  }

  #byte(byte: number): void {
    if (this.#length === this.#out.length) this.#reserve(1);
    this.#out[this.#length++] = byte;
  }

  #copy(bytes: Uint8Array, from: number, to: number): void {
    const size = to - from;
    this.#reserve(size);
    move(bytes, from, to, this.#out, this.#length);
    this.#length += size;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#out.length) return;
    const larger = new Uint8Array(Math.max(this.#out.length * 1.5, this.#length + more));
    larger.set(this.bytes);
    this.#out = larger;
  }

  /** Compares the names of two members: negative, positive, or 0 if they are equal. */
  #compare(one: number, other: number): number {
    const out = this.#out;
    let a = this.#nameStarts[one] as number;
    let b = this.#nameStarts[other] as number;
    const aEnd = this.#nameEnds[one] as number;
    const bEnd = this.#nameEnds[other] as number;
    // Each name ends in its quote, so no name is a prefix of another.
    while (a < aEnd && b < bEnd) {
      const difference = (out[a++] as number) - (out[b++] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Sorts the members of the innermost object, which begin at index `first`. */
  #sort(first: number): void {
    const starts = this.#nameStarts;
    const names = this.#names;
    const begin = starts[first] as number;
    const size = this.#length - begin;
    const order: number[] = [];
    let nameBytes = 0;
    for (let at = first; at < names; at++) {
      nameBytes += (this.#nameEnds[at] as number) - (starts[at] as number);
      order.push(at);
    }
    this.moves += size;
    const exceedsBounds = order.length > maxSorted || nameBytes > maxSortedNameBytes;
    if (exceedsBounds || this.moves > this.#maxMoves) return this.giveUp();

    this.#sortNames(order);
    // Copies the members in order behind the output, and then moves them into place.
    this.#reserve(size);
    const out = this.#out;
    const end = this.#length;
    let to = end;
    let before = -1;
    for (const member of order) {
      if (before >= 0) {
        if (this.#compare(before, member) === 0) return this.giveUp();
        out[to++] = comma;
      }
      before = member;
      const from = starts[member] as number;
      const memberEnd = member + 1 < names ? (starts[member + 1] as number) - 1 : end;
      move(out, from, memberEnd, out, to);
      to += memberEnd - from;
    }
    move(out, end, to, out, begin);
  }

  #sortNames(order: number[]): void {
    if (order.length > maxInserted) {
      order.sort((one, other) => this.#compare(one, other));
      return;
    }
    for (let at = 1; at < order.length; at++) {
      const member = order[at] as number;
      let to = at;
      for (; to > 0 && this.#compare(order[to - 1] as number, member) > 0; to--) {
        order[to] = order[to - 1] as number;
      }
      order[to] = member;
    }
  }
}

/** Copies the bytes from `from` to `to` into `out` at `at`. */
function move(bytes: Uint8Array, from: number, to: number, out: Uint8Array, at: number): void {
  if (to - from > maxLoopBytes) out.set(bytes.subarray(from, to), at);
  else for (let index = from; index < to; index++) out[at++] = bytes[index] as number;
}
