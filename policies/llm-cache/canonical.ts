/**
 * JSON in canonical form: member order, white space and the spelling of strings and numbers do not
 * count. Numbers are by value, and by their decimal text where a double cannot hold them; strings
 * by UTF-16 code unit. The canonical form is JSON itself, and its own canonical form.
 */

const maxDepth = 500;

/** Thrown within this file only: the text has no canonical form. */
class NoCanonicalForm extends Error {}

/**
 * The members of a JSON object by unescaped name, each value in canonical form. `text` is one that
 * `JSON.parse` made an object of. Null where it has no canonical form: duplicate members anywhere,
 * nesting beyond 500, or a number that a double cannot hold with an exponent beyond ±1e15.
 */
export function canonicalMembers(text: string): Map<string, string> | null {
  try {
    return new Scanner(text).members();
  } catch (error) {
    if (error instanceof NoCanonicalForm) return null;
    throw error;
  }
}

/** The canonical form of an object with these members, their values in canonical form. */
export function joinMembers(members: ReadonlyMap<string, string>): string {
  // Sorted by code unit, which is what comparing strings does.
  const names = [...members.keys()].toSorted();
  // Appended, not joined: joining would copy what lies deepest once a level.
  let joined = '{';
  let separator = '';
  for (const name of names) {
    joined += `${separator}${JSON.stringify(name)}:${members.get(name)}`;
    separator = ',';
  }
  return `${joined}}`;
}

const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

const number = /[-+.\deE]+/y;
// Canonical as it is; a body of tokens has thousands.
const shortInteger = /\d{1,15}(?![.\deE])/y;
const loneSurrogate = /\p{Cs}/gu;

/** Reads valid JSON once, from left to right. */
class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    // As JSON.stringify spells them, so that strings without an escape are canonical as they are.
    this.#text = text.replace(loneSurrogate, (unit) => JSON.stringify(unit).slice(1, -1));
  }

  /** The object that begins here. */
  members(): Map<string, string> {
    const members = new Map<string, string>();
    for (let more = this.#open(closeBrace); more; more = this.#another()) {
      const literal = this.#string();
      const name = literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
      if (members.has(name)) throw new NoCanonicalForm();
      this.#peek();
      this.#at++; // the colon
      members.set(name, this.#value());
    }
    return members;
  }

  #items(): string {
    let joined = '[';
    let separator = '';
    for (let more = this.#open(closeBracket); more; more = this.#another()) {
      joined += `${separator}${this.#value()}`;
      separator = ',';
    }
    return `${joined}]`;
  }

  #value(): string {
    switch (this.#peek()) {
      case openBrace:
        return joinMembers(this.members());
      case openBracket:
        return this.#items();
      case quote:
        return this.#string();
      case 0x74: // true
      case 0x6e: // null
        return this.#take(this.#at + 4);
      case 0x66: // false
        return this.#take(this.#at + 5);
      default:
        return this.#number();
    }
  }

  /** Steps into the object or array that begins here; false where it is empty, and stepped over. */
  #open(close: number): boolean {
    if (++this.#depth > maxDepth) throw new NoCanonicalForm();
    this.#peek();
    this.#at++;
    return this.#peek() !== close || this.#another();
  }

  /** Steps over a comma, or out of the object or array that ends here; false where it does. */
  #another(): boolean {
    const isComma = this.#peek() === comma;
    this.#at++;
    if (!isComma) this.#depth--;
    return isComma;
  }

  /** The string that begins here, spelt as `JSON.stringify` does. */
  #string(): string {
    this.#peek();
    let end = this.#text.indexOf('"', this.#at + 1);
    while (this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    const literal = this.#take(end + 1);
    return literal.includes('\\') ? JSON.stringify(JSON.parse(literal)) : literal;
  }

  /** Whether an odd number of backslashes stands before `at`. */
  #isEscaped(at: number): boolean {
    let from = at;
    while (this.#text.charCodeAt(from - 1) === backslash) from--;
    return (at - from) % 2 === 1;
  }

  #number(): string {
    shortInteger.lastIndex = number.lastIndex = this.#at;
    if (shortInteger.test(this.#text)) return this.#take(shortInteger.lastIndex);
    number.test(this.#text);
    return canonicalNumber(this.#take(number.lastIndex));
  }

  /** What stands before `end`, which is stepped to. */
  #take(end: number): string {
    const taken = this.#text.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  /** Steps over white space, and tells what comes. */
  #peek(): number {
    let unit = this.#text.charCodeAt(this.#at);
    while (unit <= 0x20) unit = this.#text.charCodeAt(++this.#at);
    return unit;
  }
}

/** As JavaScript spells the double, where that has the same decimal value; else digits and exponent. */
function canonicalNumber(literal: string): string {
  const spelt = String(Number(literal));
  if (spelt === literal) return literal;
  const exact = decimal(literal);
  return decimal(spelt) === exact ? spelt : exact;
}

// A double sums such an exponent and a count of digits without rounding.
const maxExponent = 1e15;
const decimalParts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** Sign, digits without zeros at either end, and exponent: one text for each decimal value. */
function decimal(literal: string): string {
  const parts = decimalParts.exec(literal);
  if (parts === null) return literal; // Infinity
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const digits = `${whole}${fraction}`;
  let from = 0;
  let to = digits.length;
  while (from < to && digits.charCodeAt(from) === 0x30) from++;
  while (to > from && digits.charCodeAt(to - 1) === 0x30) to--;
  if (from === to) return '0';
  if (Math.abs(Number(exponent)) > maxExponent) throw new NoCanonicalForm();
  return `${sign}${digits.slice(from, to)}e${Number(exponent) - fraction.length + digits.length - to}`;
}
