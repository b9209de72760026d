/**
 * JSON in canonical form: member order, white space and the spelling of strings and numbers do not
 * count. Numbers are by value, and by their decimal text where a double cannot hold them.
 */

const maxDepth = 500;

/** Thrown within this file only: the text has no canonical form. */
class NoCanonicalForm extends Error {}

/**
 * The members of a JSON object, each in canonical form, by name. `text` is one that `JSON.parse`
 * took. Null where it has no canonical form: duplicate members anywhere, or nesting beyond 500.
 */
export function canonicalMembers(text: string): Map<string, string> | null {
  try {
    return new Scanner(text).members();
  } catch (error) {
    if (error instanceof NoCanonicalForm) return null;
    throw error;
  }
}

/** The canonical form of an object with these members. */
export function joinMembers(members: ReadonlyMap<string, string>): string {
  // Sorted by code unit, which is what comparing strings does.
  const names = [...members.keys()].toSorted();
  return `{${names.map((name) => `${JSON.stringify(name)}:${members.get(name)}`).join(',')}}`;
}

const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The object that begins here. */
  members(): Map<string, string> {
    const members = new Map<string, string>();
    this.#sequence('}', () => {
      const name: unknown = JSON.parse(this.#string());
      if (typeof name !== 'string' || members.has(name)) throw new NoCanonicalForm();
      this.#next(); // the colon
      members.set(name, this.#value());
    });
    return members;
  }

  #value(): string {
    const first = this.#peek();
    switch (first) {
      case '{':
        return joinMembers(this.members());
      case '[': {
        const items: string[] = [];
        this.#sequence(']', () => items.push(this.#value()));
        return `[${items.join(',')}]`;
      }
      case '"':
        return this.#string();
      case 't':
      case 'n':
        return this.#take(4);
      case 'f':
        return this.#take(5);
      default:
        return canonicalNumber(this.#number());
    }
  }

  /** From an opening bracket to `close`, with one `item` between each two commas. */
  #sequence(close: string, item: () => void): void {
    if (++this.#depth > maxDepth) throw new NoCanonicalForm();
    this.#next();
    if (this.#peek() === close) this.#next();
    else {
      do item();
      while (this.#next() === ',');
    }
    this.#depth--;
  }

  /** The string that begins here, spelt as `JSON.stringify` does. */
  #string(): string {
    this.#peek();
    const start = this.#at;
    let end = start;
    do end = this.#text.indexOf('"', end + 1);
    while (this.#isEscaped(end));
    const literal = this.#take(end + 1 - start);
    return literal.includes('\\') ? JSON.stringify(JSON.parse(literal)) : literal;
  }

  /** Whether an odd number of backslashes stands before `at`. */
  #isEscaped(at: number): boolean {
    let from = at;
    while (this.#text.charCodeAt(from - 1) === 0x5c) from--;
    return (at - from) % 2 === 1;
  }

  #number(): string {
    number.lastIndex = this.#at;
    const literal = number.exec(this.#text)?.[0];
    if (literal === undefined) throw new NoCanonicalForm();
    return this.#take(literal.length);
  }

  #take(length: number): string {
    this.#at += length;
    return this.#text.slice(this.#at - length, this.#at);
  }

  /** Steps over white space, and tells what comes. */
  #peek(): string | undefined {
    while (this.#text.charCodeAt(this.#at) <= 0x20) this.#at++;
    return this.#text[this.#at];
  }

  #next(): string | undefined {
    const next = this.#peek();
    this.#at++;
    return next;
  }
}

/** As JavaScript spells the double, where that has the same decimal value; else digits and exponent. */
function canonicalNumber(literal: string): string {
  const spelt = String(Number(literal));
  if (spelt === literal) return literal;
  const exact = decimal(literal);
  if (exact === null) throw new NoCanonicalForm();
  return decimal(spelt) === exact ? (exact === '0' ? '0' : spelt) : exact;
}

const maxExponentDigits = 100;
const decimalParts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** Sign, digits without zeros at either end, and exponent: one text for each decimal value. */
function decimal(literal: string): string | null {
  const parts = decimalParts.exec(literal);
  if (parts === null) return null; // Infinity
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = parts;
  if (exponentText.length > maxExponentDigits) return null;
  const digits = `${whole}${fraction}`;
  let from = 0;
  let to = digits.length;
  while (from < to && digits.charCodeAt(from) === 0x30) from++;
  while (to > from && digits.charCodeAt(to - 1) === 0x30) to--;
  if (from === to) return '0';
  // Not a double, which would round the exponents that somebody may think of.
  const exponent = BigInt(exponentText) - BigInt(fraction.length) + BigInt(digits.length - to);
  return `${sign}${digits.slice(from, to)}e${exponent}`;
}
