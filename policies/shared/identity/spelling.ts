/** What spelling one value may take: a value beyond it is not read for certain. */
const maxDepth = 6;
const maxValues = 1000;
const maxCharacters = 16_384;
const maxBytes = 1024;
const maxBits = 4096;

interface Room {
  values: number;
  characters: number;
}

/**
 * A text that is the same for equal values alone, whatever the order of their members: `1` and `"1"`
 * differ. Null for a value that cannot be told from another for certain (NaN, an integer that a
 * double rounds, a function, an object that keeps what it is to itself), and for one that is too
 * large. Never throws, whatever the getters and methods of an object do.
 */
export function spell(value: unknown): string | null {
  try {
    return write(value, 0, { values: maxValues, characters: maxCharacters });
  } catch {
    return null;
  }
}

class Unspellable extends Error {}

function write(value: unknown, depth: number, room: Room): string {
  room.values -= 1;
  if (depth > maxDepth || room.values < 0) throw new Unspellable();
  if (typeof value === 'object' && value !== null) return writeObject(value, depth, room);
  const text = writePrimitive(value, room);
  room.characters -= text.length;
  if (room.characters < 0) throw new Unspellable();
  return text;
}

function writePrimitive(value: unknown, room: Room): string {
  switch (typeof value) {
    case 'string':
      if (value.length > room.characters) throw new Unspellable();
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new Unspellable();
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new Unspellable();
      return String(value);
    case 'bigint':
      if (BigInt.asIntN(maxBits, value) !== value) throw new Unspellable();
      return `${value}n`;
    case 'boolean':
      return String(value);
    default:
      if (value === null) return 'null';
      throw new Unspellable();
  }
}

function writeObject(value: object, depth: number, room: Room): string {
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1, room)).join()}]`;
  // Its toJSON would be many times as large.
  if (ArrayBuffer.isView(value) && value.byteLength > maxBytes) throw new Unspellable();
  const hex = says(value, 'toHexString');
  if (hex !== undefined) return `hex${write(named(hex), depth + 1, room)}`;
  const json = says(value, 'toJSON');
  if (json !== undefined && typeof json !== 'object') {
    return `json${write(named(json), depth + 1, room)}`;
  }
  if (ArrayBuffer.isView(value)) return `json${write(json, depth + 1, room)}`;
  if (isPlain(value) && json === undefined && says(value, 'toString') === undefined) {
    return writeMembers(value, depth, room);
  }
  return writeInstance(value, json, depth, room);
}

/** An object with a class: by its id, else by what it says and by what is seen of it. */
function writeInstance(value: object, json: unknown, depth: number, room: Room): string {
  const { id } = value as { readonly id?: unknown };
  if (id !== undefined && id !== null) return `{"id":${write(id, depth + 1, room)}}`;
  if (json !== undefined) {
    // What an invalid date says, and every other one like it.
    if (json === null) throw new Unspellable();
    // It may leave out what tells one from another.
    return `json${write(json, depth + 1, room)}${writeMembers(value, depth, room)}`;
  }
  const text = named(says(value, 'toString'));
  // That is a class's name, and nothing of the instance.
  if (text.startsWith('[')) throw new Unspellable();
  return `text${write(text, depth + 1, room)}${writeMembers(value, depth, room)}`;
}

function writeMembers(value: object, depth: number, room: Room): string {
  const members: string[] = [];
  for (const name of Object.keys(value).toSorted()) {
    const member: unknown = (value as Record<string, unknown>)[name];
    if (member === undefined) continue;
    members.push(`${write(name, depth, room)}:${write(member, depth + 1, room)}`);
  }
  return `{${members.join()}}`;
}

/** What a method of the object's own, or of its class, returns; undefined without one. */
function says(value: object, method: 'toHexString' | 'toJSON' | 'toString'): unknown {
  const found: unknown = (value as Record<string, unknown>)[method];
  if (typeof found !== 'function' || isEverybodys(value, method)) return undefined;
  const said: unknown = found.call(value);
  if (said === undefined) throw new Unspellable();
  return said;
}

/** Whether the method is `Object.prototype`'s, of whatever realm. */
function isEverybodys(value: object, method: string): boolean {
  for (let at: object | null = value; at !== null; at = prototypeOf(at)) {
    if (Object.hasOwn(at, method)) return at !== value && prototypeOf(at) === null;
  }
  return true;
}

function named<T>(said: T): T & string {
  if (typeof said !== 'string' || said === '') throw new Unspellable();
  return said;
}

/** An object that is its members and nothing more. */
export function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = prototypeOf(value);
  return prototype === null || prototypeOf(prototype) === null;
}

function prototypeOf(value: object): object | null {
  return Object.getPrototypeOf(value) as object | null;
}
