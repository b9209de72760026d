/**
 * Finds places by the hash of a key, in two arrays that never grow. `capacity` is how many it holds
 * at most; the arrays have room for twice as many, so that few places are looked at.
 */
export class HashIndex {
  readonly #mask: number;
  readonly #hashes: Uint32Array;
  /** Place + 1; 0 where there is none. */
  readonly #places: Uint32Array;

  constructor(capacity: number) {
    const length = 2 ** Math.ceil(Math.log2(Math.max(capacity, 4) * 1.5));
    this.#mask = length - 1;
    this.#hashes = new Uint32Array(length);
    this.#places = new Uint32Array(length);
  }

  /** What it takes, in bytes. */
  static bytesFor(capacity: number): number {
    return 8 * 2 ** Math.ceil(Math.log2(Math.max(capacity, 4) * 1.5));
  }

  /** -1 where there is none. */
  find(hash: number): number {
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const place = this.#places[at] ?? 0;
      if (place === 0) return -1;
      if (this.#hashes[at] === hash) return place - 1;
    }
  }

  /** There is to be none of that hash yet. */
  add(hash: number, place: number): void {
    let at = hash & this.#mask;
    while (this.#places[at] !== 0) at = (at + 1) & this.#mask;
    this.#hashes[at] = hash;
    this.#places[at] = place + 1;
  }

  remove(hash: number): void {
    let gap = hash & this.#mask;
    while (this.#hashes[gap] !== hash || this.#places[gap] === 0) {
      if (this.#places[gap] === 0) return;
      gap = (gap + 1) & this.#mask;
    }
    // Those behind move up, so that no search ends before it has reached them.
    for (let at = (gap + 1) & this.#mask; this.#places[at] !== 0; at = (at + 1) & this.#mask) {
      const wanted = (this.#hashes[at] ?? 0) & this.#mask;
      const isBetween = ((at - wanted) & this.#mask) < ((at - gap) & this.#mask);
      if (isBetween) continue;
      this.#hashes[gap] = this.#hashes[at] ?? 0;
      this.#places[gap] = this.#places[at] ?? 0;
      gap = at;
    }
    this.#places[gap] = 0;
  }
}
