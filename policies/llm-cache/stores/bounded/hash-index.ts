/**
 * Finds places by the hash of a key, in an array that never grows. `hashes` are those of the places,
 * of which there are so many at most; the array has room for more, so that few are looked at.
 */
export class HashIndex {
  readonly #hashes: Uint32Array;
  readonly #mask: number;
  /** Place + 1; 0 where there is none. */
  readonly #places: Uint32Array;

  constructor(hashes: Uint32Array) {
    const length = lengthFor(hashes.length);
    this.#hashes = hashes;
    this.#mask = length - 1;
    this.#places = new Uint32Array(length);
  }

  /** What it takes, in bytes, without the hashes. */
  static bytesFor(capacity: number): number {
    return 4 * lengthFor(capacity);
  }

  /** -1 where there is none. */
  find(hash: number): number {
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const place = this.#places[at] ?? 0;
      if (place === 0 || this.#hashes[place - 1] === hash) return place - 1;
    }
  }

  /** There is to be none of that hash yet; it is that place's from now on. */
  add(hash: number, place: number): void {
    let at = hash & this.#mask;
    while (this.#places[at] !== 0) at = (at + 1) & this.#mask;
    this.#places[at] = place + 1;
    this.#hashes[place] = hash;
  }

  remove(hash: number): void {
    let gap = hash & this.#mask;
    for (; this.#hashAt(gap) !== hash; gap = (gap + 1) & this.#mask) {
      if (this.#places[gap] === 0) return;
    }
    // Those behind move up, so that no search ends before it has reached them.
    for (let at = (gap + 1) & this.#mask; this.#places[at] !== 0; at = (at + 1) & this.#mask) {
      const wanted = this.#hashAt(at) & this.#mask;
      const isBetween = ((at - wanted) & this.#mask) < ((at - gap) & this.#mask);
      if (isBetween) continue;
      this.#places[gap] = this.#places[at] ?? 0;
      gap = at;
    }
    this.#places[gap] = 0;
  }

  /** -1 where there is none. */
  #hashAt(at: number): number {
    const place = this.#places[at] ?? 0;
    return place === 0 ? -1 : (this.#hashes[place - 1] ?? -1);
  }
}

function lengthFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(capacity, 4) * 1.5));
}
