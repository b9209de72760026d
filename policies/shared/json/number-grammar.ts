/** What may come next in a number (RFC 8259, section 6). */
type Part =
  | 'minus or digit'
  | 'digit'
  | 'point or e'
  | 'whole'
  | 'digit of a fraction'
  | 'fraction'
  | 'sign or digit'
  | 'digit of an exponent'
  | 'exponent';

const zero = 0x30;
const nine = 0x39;

/** Where a number may end. */
const endings: ReadonlySet<Part> = new Set(['point or e', 'whole', 'fraction', 'exponent']);

/** Parses one number at a time, and can stop in the middle of it. */
export class NumberGrammar {
  /** Whether parsing stopped at the bound, so that the number may go on. */
  isOpen = false;
  #part: Part = 'minus or digit';

  begin(): void {
    this.#part = 'minus or digit';
  }

  /** Whether the bytes so far form a complete number. */
  get isWhole(): boolean {
    return endings.has(this.#part);
  }

  /** Continues at `from`, up to `stop`. Returns where the number ends. */
  read(bytes: Uint8Array, from: number, stop: number): number {
    const end = Math.min(bytes.length, stop);
    let part = this.#part;
    let at = from;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      const next: Part | null =
        byte >= zero && byte <= nine ? afterDigit(part, byte) : afterSign(part, byte);
      if (next === null) break;
      part = next;
    }
    this.#part = part;
    this.isOpen = at === end;
    return at;
  }
}

function afterDigit(part: Part, byte: number): Part | null {
  switch (part) {
    case 'minus or digit':
    case 'digit':
      return byte === zero ? 'point or e' : 'whole';
    case 'point or e':
      return null;
    case 'digit of a fraction':
      return 'fraction';
    case 'sign or digit':
    case 'digit of an exponent':
      return 'exponent';
    default:
      return part;
  }
}

function afterSign(part: Part, byte: number): Part | null {
  switch (byte) {
    case 0x2d: // -
      if (part === 'minus or digit') return 'digit';
      return part === 'sign or digit' ? 'digit of an exponent' : null;
    case 0x2b: // +
      return part === 'sign or digit' ? 'digit of an exponent' : null;
    case 0x2e: // .
      return part === 'whole' || part === 'point or e' ? 'digit of a fraction' : null;
    case 0x45: // E
    case 0x65: // e
      return endings.has(part) && part !== 'exponent' ? 'sign or digit' : null;
    default:
      return null;
  }
}
