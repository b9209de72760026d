import type { CanonicalWriter } from './canonical-writer.ts';
import type { Hashing, RunningHash } from '../bytes/hashing.ts';
import { textOf } from '../bytes/utf8.ts';

/** More members than any API has. */
const maxMembers = 1000;
const maxNameBytes = 1024;
/** A value up to this many bytes is kept as it is; a longer one becomes a digest. */
const maxVerbatimBytes = 64;
/** A value up to this many bytes is hashed at once, a longer one in steps. */
const maxAtOnceBytes = 64 * 1024;
/** The outline has strings and numbers up to this many bytes. */
const maxOutlinedBytes = 2048;
/** For a member that is an object, the outline has this many of its members, each up to this many bytes. */
const maxInner = 64;
const maxInnerBytes = 64;
/** The longest array in an outline. */
const maxItems = 1_000_000;

/** Called with each member: its name, and where its value begins and ends. */
export type OnMember = (name: string, from: number, to: number) => void;

/** Collects the members of a body while it is scanned. */
export class MemberList {
  /** Each value in canonical form or, if that is long, as `#` and its digest; no JSON begins with `#`. */
  readonly values = new Map<string, string>();
  readonly outline = Object.create(null) as Record<string, unknown>;
  /** Whether a member occurs twice, or has a name that is too long to keep. */
  isAmbiguous = false;
  readonly #bytes: Uint8Array;
  readonly #hashing: Hashing | null;
  #count = 0;
  #name = '';
  #valueAt = 0;
  /** The value if it is a string without escapes, which is its canonical form; else empty. */
  #literal = '';
  #items = 0;
  #firstItem = 0;
  /** The short members of the value, if it is an object. */
  #inner: Record<string, unknown> | null = null;
  #innerName = '';
  #innerAt = 0;
  #hash: { readonly running: RunningHash; readonly bytes: Uint8Array; done: number } | null = null;

  readonly #onMember: OnMember | null;

  constructor(bytes: Uint8Array, hashing: Hashing | null, onMember: OnMember | null) {
    this.#onMember = onMember;
    this.#bytes = bytes;
    this.#hashing = hashing;
  }

  get isFull(): boolean {
    return this.#count > maxMembers;
  }

  /** Takes the name of the next member: a string literal with its quotes. */
  name(from: number, to: number): void {
    this.#count++;
    const isLong = to - from > maxNameBytes;
    if (isLong) this.isAmbiguous = true;
    const text = isLong ? '""' : textOf(this.#bytes, from, to);
    this.#name = text.includes('\\') ? (JSON.parse(text) as string) : text.slice(1, -1);
  }

  value(from: number): void {
    this.#valueAt = from;
    this.#items = 0;
    this.#inner = null;
  }

  /** Called when an item or member of the value begins at `from` with `byte`. */
  item(byte: number, from: number): void {
    this.#innerAt = from;
    if (this.#items++ === 0) this.#firstItem = byte;
  }

  /** Takes a name within the value: a string literal with its quotes. */
  innerName(from: number, to: number): void {
    const isKept = this.#items < maxInner && to - from <= maxInnerBytes;
    this.#innerName = isKept ? textOf(this.#bytes, from, to) : '';
  }

  /** Called when a member of the value ends at `to`. */
  innerEnd(to: number): void {
    const from = this.#innerAt;
    const byte = this.#bytes[from];
    const isShort = byte !== 0x7b && byte !== 0x5b && to - from <= maxInnerBytes;
    if (!isShort || this.#innerName === '') return;
    const name = JSON.parse(this.#innerName) as string;
    this.#inner ??= Object.create(null) as Record<string, unknown>;
    this.#inner[name] = JSON.parse(textOf(this.#bytes, from, to)) as unknown;
  }

  /** Called when the value ends at `to` and is written. Returns false if `digest` has to be called next. */
  end(to: number, writer: CanonicalWriter): boolean {
    const name = this.#name;
    this.#literal = '';
    this.outline[name] = this.#outlineOf(to);
    this.#onMember?.(name, this.#valueAt, to);
    if (!writer.isOpen) return true;
    if (this.values.has(name)) this.isAmbiguous = true;
    const hashing = this.#hashing;
    if (writer.length <= maxVerbatimBytes || hashing === null) {
      this.values.set(name, this.#literal === '' ? writer.text : this.#literal);
    } else if (writer.length <= maxAtOnceBytes) {
      this.values.set(name, `#${hashing.of(writer.bytes)}`);
    } else {
      this.#hash = { running: hashing.start(), bytes: writer.bytes, done: 0 };
      return false;
    }
    return true;
  }

  /** How many bytes of a long value have yet to be hashed. */
  get undigested(): number {
    return this.#hash === null ? 0 : this.#hash.bytes.length - this.#hash.done;
  }

  /** Hashes the next `count` bytes of a long value. Returns true after the last. */
  digest(count: number): boolean {
    const hash = this.#hash;
    if (hash === null) return true;
    const to = hash.done + count;
    hash.running.update(hash.bytes.subarray(hash.done, to));
    hash.done = to;
    if (to < hash.bytes.length) return false;
    this.values.set(this.#name, `#${hash.running.end()}`);
    this.#hash = null;
    return true;
  }

  #outlineOf(to: number): unknown {
    const from = this.#valueAt;
    switch (this.#bytes[from]) {
      case 0x7b: // {
        return this.#inner ?? {};
      case 0x5b: {
        // [
        const array: unknown[] = this.#items > 0 ? [exampleOf(this.#firstItem)] : [];
        array.length = Math.min(this.#items, maxItems);
        return array;
      }
      case 0x22: // "
        return to - from > maxOutlinedBytes ? '' : this.#stringOf(textOf(this.#bytes, from, to));
      case 0x74: // t
        return true;
      case 0x66: // f
        return false;
      case 0x6e: // n
        return null;
      default:
        return to - from > maxOutlinedBytes ? 0 : Number(textOf(this.#bytes, from, to));
    }
  }

  #stringOf(literal: string): string {
    if (literal.includes('\\')) return JSON.parse(literal) as string;
    this.#literal = literal;
    return literal.slice(1, -1);
  }
}

/** Returns an example of the type of value that begins with `byte`. */
function exampleOf(byte: number): unknown {
  switch (byte) {
    case 0x22:
      return '';
    case 0x5b:
      return [];
    case 0x7b:
      return {};
    case 0x74:
      return true;
    case 0x66:
      return false;
    case 0x6e:
      return null;
    default:
      return 0;
  }
}
