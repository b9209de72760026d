import type { BodyContent, ContentProblem } from '../body-content.ts';
import { CanonicalWriter } from './canonical-writer.ts';
import type { Hashing, RunningHash } from '../bytes/hashing.ts';
import { MemberList, type OnMember } from './member-list.ts';
import { NumberGrammar } from './number-grammar.ts';
import { PlainText } from './plain-text.ts';
import { characterEnd } from '../bytes/utf8.ts';

/** The cost of a value on top of its bytes, as a number of bytes. */
const valueCost = 16;
/** The most digits of an integer that the fast path reads. */
const maxPlainDigits = 32;

const quote = 0x22;
const comma = 0x2c;
const minus = 0x2d;
const zero = 0x30;
const nine = 0x39;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

const isSpace = tableOf((byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
/** Bytes that may follow a number. */
const endsNumber = tableOf(
  (byte) => isSpace[byte] === 1 || byte === comma || byte === closeBracket || byte === closeBrace,
);

function tableOf(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (has(byte) ? 1 : 0));
}

/** The code units of the one-letter escapes, by letter. */
const escapes: Readonly<Record<number, number>> = {
  [quote]: quote,
  [backslash]: backslash,
  0x2f: 0x2f, // /
  0x62: 0x08, // b
  0x66: 0x0c, // f
  0x6e: 0x0a, // n
  0x72: 0x0d, // r
  0x74: 0x09, // t
};

/** The letters of escapes that are already canonical, so that a run may include them. */
const isCanonicalEscape = tableOf(
  (byte) => byte in escapes && byte !== 0x2f, // JSON.stringify leaves `/` as it is
);

const literals: Readonly<Record<number, Uint8Array>> = Object.fromEntries(
  ['true', 'false', 'null'].map((text) => [text.charCodeAt(0), new TextEncoder().encode(text)]),
);

/** What must come next. */
type State =
  | 'document'
  | 'member or end'
  | 'member'
  | 'colon'
  | 'item or end'
  | 'value'
  | 'comma or end'
  | 'in a name'
  | 'in a string'
  | 'in a number'
  | 'digest of a member'
  | 'end of document'
  | 'digest of all'
  | 'done';

export interface ScanOptions {
  readonly onMember?: OnMember;
  /** Whether the bytes are known to be UTF-8. */
  readonly isUtf8?: boolean;
}

/**
 * Scans a JSON object (RFC 8259) once, from the first byte to the last, and makes its canonical form
 * on the way. It can stop anywhere, so that no body blocks the event loop, and its memory does not
 * grow with the number of values.
 */
export class JsonScan {
  readonly #bytes: Uint8Array;
  readonly #hashing: Hashing | null;
  readonly #writer: CanonicalWriter;
  readonly #members: MemberList;
  readonly #text: PlainText;
  #number: NumberGrammar | null = null;
  #state: State = 'document';
  #problem: ContentProblem | null = null;
  #at = 0;
  /** Where the current name or number begins. */
  #begin = 0;
  #depth = 0;
  /** The open objects and arrays by depth: 1 for an object, 0 for an array. */
  #kinds = new Uint8Array(16);
  #whole: { readonly hash: RunningHash; done: number } | null = null;
  #digest = '';

  /** Without `hashing`, long members are kept whole. Bytes known to be UTF-8 are not checked again. */
  constructor(bytes: Uint8Array, hashing: Hashing | null, options: ScanOptions = {}) {
    const { onMember = null, isUtf8 = false } = options;
    this.#bytes = bytes;
    this.#hashing = hashing;
    this.#text = new PlainText(bytes, isUtf8);
    this.#writer = new CanonicalWriter(bytes.length);
    this.#members = new MemberList(bytes, hashing, onMember);
  }

  /** Continues for about the work of reading `units` bytes. Returns true when the scan is done. */
  step(units: number): boolean {
    const moved = this.#writer.moves;
    let stop = this.#at + units;
    while (this.#state !== 'done') {
      const cost = this.#readToken(stop, units);
      if (cost < 0) return false;
      stop -= cost;
      if (this.#at + this.#writer.moves - moved >= stop) break;
    }
    return this.#state === 'done';
  }

  /** The result, after the scan is done. */
  get content(): BodyContent {
    const { length } = this.#bytes;
    const { outline } = this.#members;
    const members = this.#writer.isOpen ? this.#members.values : null;
    if (this.#problem === null)
      return { problem: null, length, outline, members, digest: this.#digest };
    return { problem: this.#problem, length, outline: {}, members: null, digest: '' };
  }

  /** Reads the next token. Returns its cost on top of its bytes; -1 if it stopped before the token's end. */
  #readToken(stop: number, units: number): number {
    switch (this.#state) {
      case 'in a name':
      case 'in a string':
        return this.#continueString(stop);
      case 'in a number':
        return this.#continueNumber(stop);
      case 'digest of a member': {
        const cost = this.#members.undigested;
        if (!this.#members.digest(units)) return -1;
        this.#endMember();
        return cost;
      }
      case 'digest of all':
        return this.#digestAll(units);
      default:
    }
    const bytes = this.#bytes;
    const end = Math.min(bytes.length, stop);
    let at = this.#at;
    while (at < end && isSpace[bytes[at] as number] === 1) at++;
    this.#at = at;
    if (at < end) return this.#readStructure(bytes[at] as number, stop);
    if (at < bytes.length) return -1;
    return this.#state === 'end of document' ? this.#finish() : this.#fail();
  }

  #readStructure(byte: number, stop: number): number {
    switch (this.#state) {
      case 'document':
        return byte === openBrace ? this.#open(byte) : this.#fail();
      case 'member or end':
        return byte === closeBrace ? this.#close(byte) : this.#name(byte, stop);
      case 'member':
        return this.#name(byte, stop);
      case 'colon':
        return byte === colon ? this.#colon() : this.#fail();
      case 'item or end':
        return byte === closeBracket ? this.#close(byte) : this.#value(byte, stop);
      case 'value':
        return this.#value(byte, stop);
      case 'comma or end': {
        if (byte === comma) return this.#comma();
        const closing = this.#kinds[this.#depth] === 1 ? closeBrace : closeBracket;
        return byte === closing ? this.#close(byte) : this.#fail();
      }
      default:
        return this.#fail();
    }
  }

  #colon(): number {
    if (this.#depth > 1) this.#writer.separator(colon);
    this.#at++;
    this.#state = 'value';
    return 0;
  }

  #comma(): number {
    if (this.#depth > 1) this.#writer.separator(comma);
    this.#at++;
    this.#state = this.#kinds[this.#depth] === 1 ? 'member' : 'value';
    return 0;
  }

  #name(byte: number, stop: number): number {
    if (byte !== quote) return this.#fail();
    this.#begin = this.#at;
    return this.#beginString(true, stop);
  }

  #value(byte: number, stop: number): number {
    if (this.#depth === 1) this.#members.value(this.#at);
    else if (this.#depth === 2) this.#members.item(byte, this.#at);
    if (byte === quote) {
      this.#beginString(false, stop);
      return valueCost;
    }
    if (byte === openBrace || byte === openBracket) return this.#open(byte);
    if (byte === minus || isDigit(byte)) return this.#beginNumber(byte, stop);
    const literal = literals[byte];
    if (literal === undefined || !this.#matches(literal)) return this.#fail();
    this.#writer.literal(this.#bytes, this.#at, (this.#at += literal.length));
    this.#endValue();
    return valueCost;
  }

  #matches(literal: Uint8Array): boolean {
    for (let index = 0; index < literal.length; index++) {
      if (this.#bytes[this.#at + index] !== literal[index]) return false;
    }
    return true;
  }

  #open(byte: number): number {
    // The outermost object is kept as separate members, so it is not written.
    if (this.#depth > 0) this.#writer.open(byte, byte === openBrace);
    this.#at++;
    if (++this.#depth === this.#kinds.length) {
      const more = new Uint8Array(this.#depth * 2);
      more.set(this.#kinds);
      this.#kinds = more;
    }
    this.#kinds[this.#depth] = byte === openBrace ? 1 : 0;
    this.#state = byte === openBrace ? 'member or end' : 'item or end';
    return valueCost;
  }

  #close(byte: number): number {
    this.#at++;
    this.#depth--;
    if (this.#depth === 0) this.#state = 'end of document';
    else {
      this.#writer.close(byte);
      this.#endValue();
    }
    return 0;
  }

  /** Reads a string: at once if it is canonical, as most are, and ends before `stop`; else piece by piece. */
  #beginString(isName: boolean, stop: number): number {
    const from = this.#at;
    const isWritten = !isName || this.#depth > 1;
    const end = this.#canonicalEnd(from + 1, stop);
    if (end < stop && this.#bytes[end] === quote) {
      this.#at = end + 1;
      if (isWritten) this.#writer.string(this.#bytes, from, this.#at, isName);
      return this.#endString(isName);
    }
    this.#at = end;
    this.#state = isName ? 'in a name' : 'in a string';
    if (isWritten) {
      this.#writer.beginString(isName);
      this.#writer.run(this.#bytes, from + 1, end);
    }
    return 0;
  }

  /** Returns where the canonical part of a string from `from` ends, at most `stop` or a little more. */
  #canonicalEnd(from: number, stop: number): number {
    const bytes = this.#bytes;
    const end = Math.min(stop, bytes.length);
    let at = from;
    for (;;) {
      at = this.#text.end(at, end);
      if (at >= end) return at;
      const byte = bytes[at] as number;
      if (byte === backslash && isCanonicalEscape[bytes[at + 1] ?? 0] === 1) at += 2;
      else if (byte < 0x80) return at;
      else {
        const next = characterEnd(bytes, at);
        if (next < 0) return at;
        at = next;
      }
    }
  }

  /** Continues the current string. Quotes and backslashes are ASCII, so no other character contains them. */
  #continueString(stop: number): number {
    const bytes = this.#bytes;
    const writer = this.#writer;
    const isName = this.#state === 'in a name';
    const isWritten = !isName || this.#depth > 1;
    for (;;) {
      const at = this.#canonicalEnd(this.#at, stop);
      if (isWritten) writer.run(bytes, this.#at, at);
      this.#at = at;
      const byte = bytes[at];
      if (byte === quote) {
        this.#at++;
        if (isWritten) writer.endString(isName);
        return this.#endString(isName);
      }
      if (at >= stop && byte !== undefined) return -1;
      if (byte !== backslash) return this.#fail();
      const unit = this.#escape(at + 1);
      if (unit < 0) {
        this.#at = at;
        return this.#fail();
      }
      if (isWritten) writer.unit(unit);
    }
  }

  /** Called after the closing quote. */
  #endString(isName: boolean): number {
    if (!isName) this.#endValue();
    else {
      if (this.#depth === 1) this.#members.name(this.#begin, this.#at);
      else if (this.#depth === 2) this.#members.innerName(this.#begin, this.#at);
      // The fast path: no white space before the colon.
      if (this.#bytes[this.#at] === colon) return this.#colon();
      this.#state = 'colon';
    }
    return 0;
  }

  /** Reads the escape whose letter is at `at`. Returns its code unit; -1 if it is not an escape. */
  #escape(at: number): number {
    const letter = this.#bytes[at];
    this.#at = at + 1;
    if (letter !== 0x75) return letter === undefined ? -1 : (escapes[letter] ?? -1);
    let unit = 0;
    for (let index = at + 1; index <= at + 4; index++) {
      const digit = hexDigit(this.#bytes[index] ?? 0);
      if (digit < 0) return -1;
      unit = unit * 16 + digit;
    }
    this.#at = at + 5;
    return unit;
  }

  /** Copies an integer without a zero at either end, which is canonical; parses any other number. */
  #beginNumber(byte: number, stop: number): number {
    const bytes = this.#bytes;
    const begin = this.#at;
    const first = byte === minus ? begin + 1 : begin;
    const last = Math.min(stop, bytes.length, first + maxPlainDigits);
    let end = first;
    while (end < last && isDigit(bytes[end] as number)) end++;
    const isPlain = end < last && bytes[first] !== zero && bytes[end - 1] !== zero;
    if (isPlain && end > first && endsNumber[bytes[end] as number] === 1) {
      this.#writer.literal(bytes, begin, end);
      this.#at = end;
      this.#endValue();
    } else {
      this.#begin = begin;
      (this.#number ??= new NumberGrammar()).begin();
      this.#state = 'in a number';
    }
    return valueCost;
  }

  #continueNumber(stop: number): number {
    const number = this.#number as NumberGrammar;
    this.#at = number.read(this.#bytes, this.#at, stop);
    if (number.isOpen && this.#at < this.#bytes.length) return -1;
    if (!number.isWhole) return this.#fail();
    this.#writer.number(this.#bytes, this.#begin, this.#at);
    this.#endValue();
    return 0;
  }

  #endValue(): void {
    if (this.#depth > 1) {
      if (this.#depth === 2 && this.#kinds[2] === 1) this.#members.innerEnd(this.#at);
      if (this.#bytes[this.#at] === comma) this.#comma();
      else this.#state = 'comma or end';
      return;
    }
    if (this.#members.end(this.#at, this.#writer)) this.#endMember();
    else this.#state = 'digest of a member';
  }

  /** Called when a top-level member is complete, with its digest. */
  #endMember(): void {
    this.#writer.clear();
    if (this.#members.isAmbiguous) this.#writer.giveUp();
    this.#state = 'comma or end';
    if (this.#members.isFull) this.#fail('too-many-members');
  }

  #finish(): number {
    const isHashed = !this.#writer.isOpen && this.#hashing !== null;
    this.#writer.release();
    this.#state = isHashed ? 'digest of all' : 'done';
    return 0;
  }

  #digestAll(units: number): number {
    const bytes = this.#bytes;
    const hashing = this.#hashing as Hashing;
    const whole = (this.#whole ??= { hash: hashing.start(), done: 0 });
    whole.hash.update(bytes.subarray(whole.done, whole.done + units));
    whole.done += units;
    if (whole.done < bytes.length) return -1;
    this.#digest = whole.hash.end();
    this.#state = 'done';
    return 0;
  }

  #fail(problem: ContentProblem | null = null): number {
    const byte = this.#bytes[this.#at] ?? 0;
    const isText = byte < 0x80 || characterEnd(this.#bytes, this.#at) > 0;
    this.#problem = problem ?? (isText ? 'not-json' : 'not-utf8');
    this.#writer.release();
    this.#state = 'done';
    return 0;
  }
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}

/** Returns the value of a hexadecimal digit; -1 if it is not one. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Returns the members of a JSON object in canonical form; null if it is not one or has no such form. */
export function canonicalMembers(text: string): ReadonlyMap<string, string> | null {
  const scan = new JsonScan(new TextEncoder().encode(text), null, { isUtf8: true });
  scan.step(Infinity);
  return scan.content.members;
}
