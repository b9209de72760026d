/** Something that many entries have in common, held once. */
interface Held<T> {
  readonly key: string;
  readonly item: T;
  /** Entries that have it. */
  uses: number;
}

/** What a key and its place in a map take, roughly. */
const overheadBytes = 120;

/** Things that many entries have in common, each once and known by a number from 1 on, as long as there is an entry that has it. */
export class SharedItems<T> {
  readonly #numbers = new Map<string, number>();
  readonly #held: (Held<T> | undefined)[] = [undefined];
  readonly #free: number[] = [];
  /** What an item takes beside its key. */
  readonly #itemBytes: number;
  #bytes = 0;

  constructor(itemBytes: number) {
    this.#itemBytes = itemBytes;
  }

  /** What all of them take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  of(number: number): T | undefined {
    return this.#held[number]?.item;
  }

  /** The number of the one of that key. To be let go of as often as it is taken. */
  take(key: string, make: () => T): number {
    const known = this.#numbers.get(key);
    const held = known === undefined ? undefined : this.#held[known];
    if (known !== undefined && held !== undefined) {
      held.uses++;
      return known;
    }
    const number = this.#free.pop() ?? this.#held.length;
    this.#held[number] = { key, item: make(), uses: 1 };
    this.#numbers.set(key, number);
    this.#bytes += this.bytesOf(key);
    return number;
  }

  letGo(number: number): void {
    const held = this.#held[number];
    if (held === undefined || --held.uses > 0) return;
    this.#held[number] = undefined;
    this.#numbers.delete(held.key);
    this.#free.push(number);
    this.#bytes -= this.bytesOf(held.key);
  }

  /** What an item of that key takes. */
  bytesOf(key: string): number {
    return key.length + this.#itemBytes + overheadBytes;
  }
}
