import { PagedNumbers } from './paged.ts';

/** Lists an octave: values are rounded to the nearest, which costs no saving that can be measured. */
const perOctave = 4;
const lists = 256;
const middle = lists / 2;

/** 2 to the power of each list's own exponent. */
const valueOf = Float64Array.from(
  { length: lists },
  (_, list) => 2 ** ((list - middle) / perOctave),
);

/**
 * The order in which entries go, after GreedyDual-Size-Frequency: an entry stands at the clock plus
 * its value, and the clock is where the last one stood that went. So what is not asked for goes in
 * time, whatever it was worth. Entries of one value are a list in the order of their use (as in
 * CAMP), so nothing is ever sorted: every step takes the same time for ten entries as for a million.
 */
export class Order {
  readonly #older = new PagedNumbers(Uint32Array);
  readonly #newer = new PagedNumbers(Uint32Array);
  readonly #list = new PagedNumbers(Uint8Array);
  readonly #standing = new PagedNumbers(Float64Array);
  /** The ends of each list, one more than the entry; 0 where it is empty. */
  readonly #oldest = new Uint32Array(lists);
  readonly #newest = new Uint32Array(lists);
  /** Where the first of each list stands. */
  readonly #first = new Float64Array(lists).fill(Infinity);
  #clock = 0;

  /** What each entry takes. */
  static readonly bytesEach = 17;

  /** Puts an entry behind all that have its value; `value` is a logarithm to the base 2. */
  add(entry: number, value: number): void {
    const rounded = Math.round(value * perOctave) + middle;
    const list = Math.max(0, Math.min(lists - 1, rounded));
    const standing = this.#clock + (valueOf[list] ?? 0);
    const last = this.#newest[list] ?? 0;
    this.#list.set(entry, list);
    this.#standing.set(entry, standing);
    this.#older.set(entry, last);
    this.#newer.set(entry, 0);
    this.#newest[list] = entry + 1;
    if (last === 0) this.#begin(list, entry + 1);
    else this.#newer.set(last - 1, entry + 1);
  }

  remove(entry: number): void {
    const list = this.#list.get(entry);
    const [older, newer] = [this.#older.get(entry), this.#newer.get(entry)];
    if (newer === 0) this.#newest[list] = older;
    else this.#older.set(newer - 1, older);
    if (older === 0) this.#begin(list, newer);
    else this.#newer.set(older - 1, newer);
  }

  /** The entry that is to go next, -1 where there is none; the clock goes on to where it stands. */
  next(): number {
    let [list, least] = [-1, Infinity];
    for (let at = 0; at < lists; at++) {
      const standing = this.#first[at] ?? Infinity;
      if (standing < least) [list, least] = [at, standing];
    }
    if (list === -1) return -1;
    this.#clock = Math.max(this.#clock, least);
    return (this.#oldest[list] ?? 0) - 1;
  }

  #begin(list: number, first: number): void {
    this.#oldest[list] = first;
    this.#first[list] = first === 0 ? Infinity : this.#standing.get(first - 1);
  }
}
