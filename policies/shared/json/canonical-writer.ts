import { decimalForm } from './decimal.ts';

/** Nesting that has a canonical form. */
export const maxDepth = 500;
/** Values of one body that are made canonical. */
export const maxValues = 100_000;
/** Of an object whose members have to be sorted: how many, and the bytes of their names. */
const maxSorted = 4096;
const maxSortedNameBytes = 256 * 1024;
/** How often, on the average, a byte of the whole may be moved by sorting. */
const maxMoves = 8;
/** Digits of a number. */
const maxNumberBytes = 4096;

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;

/** What stands after the backslash of the short escapes that JSON.stringify writes, by code unit. */
const shortEscapes: Readonly<Record<number, number>> = {
  0x08: 0x62,
  0x09: 0x74,
  0x0a: 0x6e,
  0x0c: 0x66,
  0x0d: 0x72,
  0x22: quote,
  0x5c: backslash,
};

/**
 * Writes one JSON value in canonical form, piece by piece, into memory of its own: without white
 * space, members sorted by the bytes of their names, strings as JSON.stringify spells them, numbers
 * by their decimal value. It is JSON itself, and its own canonical form. Once something has no
 * canonical form, or would take too much work, `isOpen` is false and nothing more is written.
 */
export class CanonicalWriter {
  isOpen = true;
  /** Bytes that were moved by sorting. */
  moves = 0;
  readonly #maxMoves: number;
  #out = new Uint8Array(256);
  #length = 0;
  #values = 0;
  /** Where the names of the members of all open objects begin, and end. */
  #nameStarts: number[] = [];
  #nameEnds: number[] = [];
  /** Of each open object: its first member in those lists, or -1 for an array. */
  readonly #firstMembers: number[] = [];
  /** Of each open object, whether its members came in order so far. */
  readonly #inOrder: boolean[] = [];
  /** A high surrogate that was escaped, as long as a low one may follow. */
  #high = 0;

  /** `size` is that of all that will be written, or more. */
  constructor(size: number) {
    this.#maxMoves = maxMoves * Math.max(size, 1024);
  }

  /** What is written since the last `clear`. */
  get bytes(): Uint8Array {
    return this.#out.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  giveUp(): void {
    this.isOpen = false;
    this.#out = new Uint8Array(0);
    this.#length = 0;
    this.#nameStarts = [];
    this.#nameEnds = [];
  }

  open(bracket: number, isObject: boolean): void {
    this.#count();
    if (!this.isOpen) return;
    if (this.#firstMembers.length >= maxDepth - 1) return this.giveUp();
    this.#firstMembers.push(isObject ? this.#nameStarts.length : -1);
    this.#inOrder.push(true);
    this.#byte(bracket);
  }

  close(bracket: number): void {
    if (!this.isOpen) return;
    const first = this.#firstMembers.pop() ?? -1;
    const inOrder = this.#inOrder.pop() ?? true;
    if (first >= 0) {
      if (!inOrder) this.#sort(first);
      if (!this.isOpen) return;
      this.#nameStarts.length = this.#nameEnds.length = first;
    }
    this.#byte(bracket);
  }

  /** A comma or a colon. */
  separator(byte: number): void {
    if (this.isOpen) this.#byte(byte);
  }

  literal(bytes: Uint8Array, from: number, to: number): void {
    this.#count();
    if (this.isOpen) this.#copy(bytes, from, to);
  }

  number(bytes: Uint8Array, from: number, to: number): void {
    this.#count();
    if (!this.isOpen) return;
    if (to - from > maxNumberBytes) return this.giveUp();
    this.#need(to - from + 24);
    const length = decimalForm(bytes, from, to, this.#out, this.#length);
    if (length < 0) this.giveUp();
    else this.#length = length;
  }

  beginString(isName: boolean): void {
    if (!isName) this.#count();
    if (!this.isOpen) return;
    if (isName) this.#nameStarts.push(this.#length);
    this.#byte(quote);
  }

  endString(isName: boolean): void {
    if (!this.isOpen) return;
    this.#settle();
    this.#byte(quote);
    if (!isName) return;
    this.#nameEnds.push(this.#length);
    const last = this.#nameEnds.length - 1;
    const first = this.#firstMembers.at(-1) ?? 0;
    if (last === first) return;
    const order = this.#compare(last - 1, last);
    if (order === 0) this.giveUp();
    else if (order > 0) this.#inOrder[this.#inOrder.length - 1] = false;
  }

  /** What stands for itself in a string. */
  run(bytes: Uint8Array, from: number, to: number): void {
    if (!this.isOpen || from === to) return;
    this.#settle();
    this.#copy(bytes, from, to);
  }

  /** A UTF-16 code unit that was written as an escape. */
  unit(unit: number): void {
    if (!this.isOpen) return;
    if (this.#high !== 0 && unit >= 0xdc00 && unit <= 0xdfff) {
      const point = 0x10000 + ((this.#high - 0xd800) << 10) + (unit - 0xdc00);
      this.#high = 0;
      return this.#utf8(point);
    }
    this.#settle();
    if (unit >= 0xd800 && unit <= 0xdbff) this.#high = unit;
    else if (unit < 0x20 || unit === quote || unit === backslash || unit >> 11 === 0x1b) {
      this.#escape(unit);
    } else this.#utf8(unit);
  }

  /** A high surrogate that no low one follows stands alone, and stays an escape. */
  #settle(): void {
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

  #count(): void {
    if (this.isOpen && ++this.#values > maxValues) this.giveUp();
  }

  #byte(byte: number): void {
    if (this.#length === this.#out.length) this.#need(1);
    this.#out[this.#length++] = byte;
  }

  #copy(bytes: Uint8Array, from: number, to: number): void {
    const size = to - from;
    this.#need(size);
    if (size > 40) this.#out.set(bytes.subarray(from, to), this.#length);
    else {
      const out = this.#out;
      let at = this.#length;
      for (let index = from; index < to; index++) out[at++] = bytes[index] as number;
    }
    this.#length += size;
  }

  #need(more: number): void {
    if (this.#length + more <= this.#out.length) return;
    const larger = new Uint8Array(Math.max(this.#out.length * 2, this.#length + more));
    larger.set(this.bytes);
    this.#out = larger;
  }

  /** Below, above or 0 as the name of one member stands before, behind or for the other's. */
  #compare(one: number, other: number): number {
    const out = this.#out;
    let a = this.#nameStarts[one] as number;
    let b = this.#nameStarts[other] as number;
    const aEnd = this.#nameEnds[one] as number;
    const bEnd = this.#nameEnds[other] as number;
    // Each ends in its quote, so none is the beginning of another.
    while (a < aEnd && b < bEnd) {
      const difference = (out[a++] as number) - (out[b++] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** Puts the members of the innermost object, from the `first` on, in order. */
  #sort(first: number): void {
    const starts = this.#nameStarts;
    const count = starts.length - first;
    const begin = starts[first] as number;
    const size = this.#length - begin;
    let nameBytes = 0;
    for (let at = first; at < starts.length; at++) {
      nameBytes += (this.#nameEnds[at] as number) - (starts[at] as number);
    }
    this.moves += size;
    const isTooMuch = count > maxSorted || nameBytes > maxSortedNameBytes;
    if (isTooMuch || this.moves > this.#maxMoves) return this.giveUp();

    const order = Array.from({ length: count }, (_, at) => first + at);
    order.sort((one, other) => this.#compare(one, other));
    const sorted = new Uint8Array(size);
    let to = 0;
    for (let at = 0; at < count; at++) {
      const member = order[at] as number;
      if (at > 0) {
        if (this.#compare(order[at - 1] as number, member) === 0) return this.giveUp();
        sorted[to++] = comma;
      }
      const from = starts[member] as number;
      const end = member + 1 < starts.length ? (starts[member + 1] as number) - 1 : this.#length;
      sorted.set(this.#out.subarray(from, end), to);
      to += end - from;
    }
    this.#out.set(sorted, begin);
  }
}
