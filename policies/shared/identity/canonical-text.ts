/** Bounds for one value; a value beyond them has no canonical text. */
const maxDepth = 6;
const maxValues = 1000;
const maxCharacters = 16_384;
const maxBytes = 1024;
const maxBits = 4096;

/** What is left of the bounds. */
interface Remaining {
  values: number;
  characters: number;
}

/**
 * Returns a text that is the same for equal values only, in any order of members: `1` and `"1"`
 * differ. Returns null for a value that cannot be told apart from others with certainty (NaN, an
 * integer that a double rounds, a function, an object that does not reveal its content) and for one
 * that is too large. Never throws, even if getters and methods of an object do.
 */
export function canonicalText(value: unknown): string | null {
  try {
    return write(value, 0, { values: maxValues, characters: maxCharacters });
  } catch {
    return null;
  }
}

class NoCanonicalText extends Error {}

function write(value: unknown, depth: number, remaining: Remaining): string {
  remaining.values -= 1;
  if (depth > maxDepth || remaining.values < 0) throw new NoCanonicalText();
  if (typeof value === 'object' && value !== null) return writeObject(value, depth, remaining);
  const text = writePrimitive(value, remaining);
  remaining.characters -= text.length;
  if (remaining.characters < 0) throw new NoCanonicalText();
  return text;
}

function writePrimitive(value: unknown, remaining: Remaining): string {
  switch (typeof value) {
    case 'string':
      if (value.length > remaining.characters) throw new NoCanonicalText();
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new NoCanonicalText();
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new NoCanonicalText();
      return String(value);
    case 'bigint':
      if (BigInt.asIntN(maxBits, value) !== value) throw new NoCanonicalText();
      return `${value}n`;
    case 'boolean':
      return String(value);
    default:
      if (value === null) return 'null';
      throw new NoCanonicalText();
  }
}

function writeObject(value: object, depth: number, remaining: Remaining): string {
  if (Array.isArray(value))
    return `[${value.map((item) => write(item, depth + 1, remaining)).join()}]`;
  // The toJSON of a Buffer returns an array, many times as large.
  if (ArrayBuffer.isView(value) && value.byteLength > maxBytes) throw new NoCanonicalText();
  const hex = callMethod(value, 'toHexString');
  if (hex !== undefined) return `hex${write(nonEmpty(hex), depth + 1, remaining)}`;
  const json = callMethod(value, 'toJSON');
  if (json !== undefined && typeof json !== 'object') {
    return `json${write(nonEmpty(json), depth + 1, remaining)}`;
  }
  if (ArrayBuffer.isView(value)) return `json${write(json, depth + 1, remaining)}`;
  if (isPlain(value) && json === undefined && callMethod(value, 'toString') === undefined) {
    return writeMembers(value, depth, remaining);
  }
  return writeInstance(value, json, depth, remaining);
}

/** Writes an instance of a class: by its id, else by its `toJSON` or `toString` and its members. */
function writeInstance(value: object, json: unknown, depth: number, remaining: Remaining): string {
  const { id } = value as { readonly id?: unknown };
  if (id !== undefined && id !== null) return `{"id":${write(id, depth + 1, remaining)}}`;
  if (json !== undefined) {
    // The toJSON of every invalid date.
    if (json === null) throw new NoCanonicalText();
    // The toJSON may leave out what tells instances apart.
    return `json${write(json, depth + 1, remaining)}${writeMembers(value, depth, remaining)}`;
  }
  const text = nonEmpty(callMethod(value, 'toString'));
  // A text such as `[object Foo]` names the class and says nothing of the instance.
  if (text.startsWith('[')) throw new NoCanonicalText();
  return `text${write(text, depth + 1, remaining)}${writeMembers(value, depth, remaining)}`;
}

function writeMembers(value: object, depth: number, remaining: Remaining): string {
  const members: string[] = [];
  for (const name of Object.keys(value).toSorted()) {
    const member: unknown = (value as Record<string, unknown>)[name];
    if (member === undefined) continue;
    members.push(`${write(name, depth, remaining)}:${write(member, depth + 1, remaining)}`);
  }
  return `{${members.join()}}`;
}

/** Returns the result of a method of the object or of its class; undefined if it has none. */
function callMethod(value: object, method: 'toHexString' | 'toJSON' | 'toString'): unknown {
  const found: unknown = (value as Record<string, unknown>)[method];
  if (typeof found !== 'function' || isOfObjectPrototype(value, method)) return undefined;
  const result: unknown = found.call(value);
  if (result === undefined) throw new NoCanonicalText();
  return result;
}

/** Whether the method is the one of `Object.prototype`, in any realm. */
function isOfObjectPrototype(value: object, method: string): boolean {
  for (let at: object | null = value; at !== null; at = prototypeOf(at)) {
    if (Object.hasOwn(at, method)) return at !== value && prototypeOf(at) === null;
  }
  return true;
}

function nonEmpty<T>(value: T): T & string {
  if (typeof value !== 'string' || value === '') throw new NoCanonicalText();
  return value;
}

/** Whether a value is a plain object: one without a class. */
export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = prototypeOf(value);
  return prototype === null || prototypeOf(prototype) === null;
}

function prototypeOf(value: object): object | null {
  return Object.getPrototypeOf(value) as object | null;
}
