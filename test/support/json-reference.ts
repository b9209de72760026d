/** A parsed JSON value. A string holds the canonical text of a JSON string, number or literal. */
type Node = Map<string, Node> | Node[] | string;

/**
 * A simple reference for the canonical form of decision 3: parses a JSON object into a tree, sorts it
 * and writes each member. Returns null if a member occurs twice. Accepts only small, valid texts.
 */
export function referenceMembers(text: string): ReadonlyMap<string, string> | null {
  const reader = new Reader(text);
  const tree = reader.value();
  if (reader.hasTwins || !(tree instanceof Map)) return null;
  return new Map([...tree].map(([name, value]) => [name, written(value)]));
}

class Reader {
  hasTwins = false;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): Node {
    this.#space();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object();
    if (first === '[') return this.#array();
    if (first === '"') return JSON.stringify(this.#string());
    const word = this.#match(/[-+.\w]+/y);
    return /^[-\d]/.test(word) ? decimal(word) : word;
  }

  #object(): Node {
    const members = new Map<string, Node>();
    this.#list('}', () => {
      this.#space();
      const name = this.#string();
      this.#space();
      this.#match(/:/y);
      if (members.has(name)) this.hasTwins = true;
      members.set(name, this.value());
    });
    return members;
  }

  #array(): Node {
    const items: Node[] = [];
    this.#list(']', () => items.push(this.value()));
    return items;
  }

  #list(end: string, item: () => void): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] !== end) {
      do {
        item();
        this.#space();
      } while (this.#match(/,?/y) === ',');
    }
    this.#at++;
  }

  #string(): string {
    return JSON.parse(this.#match(/"(?:[^"\\]|\\.)*"/y)) as string;
  }

  #space(): void {
    this.#match(/[ \t\r\n]*/y);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found === undefined) throw new Error(`no JSON at ${this.#at}: ${this.#text}`);
    this.#at += found.length;
    return found;
  }
}

function decimal(literal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(literal) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return '0';
  const short = digits.replace(/0+$/, '');
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - short.length);
  return sign + short + (power === 0n ? '' : `e${power}`);
}

function written(value: Node): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return `[${value.map(written).join()}]`;
  const members = [...value].map(([name, item]) => ({ name: JSON.stringify(name), item }));
  members.sort((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)));
  return `{${members.map(({ name, item }) => `${name}:${written(item)}`).join()}}`;
}
