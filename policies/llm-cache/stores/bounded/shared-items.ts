/** Something that many entries have in common, held once. */
export interface Held<T> {
  readonly key: string;
  readonly item: T;
  /** Entries that have it. */
  uses: number;
}

/** What a key and its place in a map take, roughly. */
const overheadBytes = 100;

/** Things that many entries have in common, each once, as long as there is an entry that has it. */
export class SharedItems<T> {
  readonly #held = new Map<string, Held<T>>();
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

  /** The one of that key. To be let go of as often as it is taken. */
  take(key: string, make: () => T): Held<T> {
    let held = this.#held.get(key);
    if (held === undefined) {
      held = { key, item: make(), uses: 0 };
      this.#held.set(key, held);
      this.#bytes += this.bytesOf(held.key);
    }
    held.uses++;
    return held;
  }

  letGo(held: Held<T>): void {
    if (--held.uses > 0) return;
    this.#held.delete(held.key);
    this.#bytes -= this.bytesOf(held.key);
  }

  /** What an item of that key takes. */
  bytesOf(key: string): number {
    return key.length + this.#itemBytes + overheadBytes;
  }
}
