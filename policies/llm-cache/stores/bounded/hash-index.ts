/**
 * An open-addressing hash table that finds a place by the hash of a key. `hashes` holds the hash of
 * each place, and its length is the capacity. The table has at least half as much room again, so that
 * searches stay short.
 */
export class HashIndex {
  readonly #hashes: Uint32Array;
  readonly #mask: number;
  /** Place + 1, or 0 if empty. */
  readonly #places: Uint32Array;

  constructor(hashes: Uint32Array) {
    const length = lengthFor(hashes.length);
    this.#hashes = hashes;
    this.#mask = length - 1;
    this.#places = new Uint32Array(length);
  }

  /** What an index of this capacity takes in bytes, without the hashes. */
  static bytesFor(capacity: number): number {
    return 4 * lengthFor(capacity);
  }

  /** Returns the place of a hash, or -1 if there is none. */
  find(hash: number): number {
    for (let at = hash & this.#mask; ; at = (at + 1) & this.#mask) {
      const place = this.#places[at] ?? 0;
      if (place === 0 || this.#hashes[place - 1] === hash) return place - 1;
    }
  }

  /** Adds a place. The index must not contain its hash yet. */
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
    // Move later places into the gap, so that no search stops before it reaches them.
    for (let at = (gap + 1) & this.#mask; this.#places[at] !== 0; at = (at + 1) & this.#mask) {
      const wanted = this.#hashAt(at) & this.#mask;
      const isBetween = ((at - wanted) & this.#mask) < ((at - gap) & this.#mask);
      if (isBetween) continue;
      this.#places[gap] = this.#places[at] ?? 0;
      gap = at;
    }
    this.#places[gap] = 0;
  }

  #hashAt(at: number): number {
    const place = this.#places[at] ?? 0;
    return place === 0 ? -1 : (this.#hashes[place - 1] ?? -1);
  }
}

function lengthFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(capacity, 4) * 1.5));
}
