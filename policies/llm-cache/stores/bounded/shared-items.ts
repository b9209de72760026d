interface SharedItem<T> {
  readonly key: string;
  readonly item: T;
  /** The number of entries that use it. */
  references: number;
}

/** Roughly what a key and its place in a map take. */
const overheadBytes = 120;

/** A reference-counted pool of items that entries have in common. Each item has a number, from 1 on. */
export class SharedItems<T> {
  readonly #numbers = new Map<string, number>();
  readonly #held: (SharedItem<T> | undefined)[] = [undefined];
  readonly #free: number[] = [];
  /** What an item takes in addition to its key. */
  readonly #itemBytes: number;
  #bytes = 0;

  constructor(itemBytes: number) {
    this.#itemBytes = itemBytes;
  }

  /** What all items take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  of(number: number): T | undefined {
    return this.#held[number]?.item;
  }

  /** Returns the number of the key's item, creating it if needed. Each call needs one call of `release`. */
  acquire(key: string, make: () => T): number {
    const known = this.#numbers.get(key);
    const held = known === undefined ? undefined : this.#held[known];
    if (known !== undefined && held !== undefined) {
      held.references++;
      return known;
    }
    const number = this.#free.pop() ?? this.#held.length;
    this.#held[number] = { key, item: make(), references: 1 };
    this.#numbers.set(key, number);
    this.#bytes += this.bytesOf(key);
    return number;
  }

  /** Releases one reference, and drops the item with the last one. */
  release(number: number): void {
    const held = this.#held[number];
    if (held === undefined || --held.references > 0) return;
    this.#held[number] = undefined;
    this.#numbers.delete(held.key);
    this.#free.push(number);
    this.#bytes -= this.bytesOf(held.key);
  }

  /** What an item with this key takes, in bytes. */
  bytesOf(key: string): number {
    return key.length + this.#itemBytes + overheadBytes;
  }
}
