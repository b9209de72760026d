import { PagedNumbers } from './paged.ts';

/** Values are rounded to a quarter of an octave, which costs no measurable saving. */
const listsPerOctave = 4;
const lists = 256;
/** The list of the value 1. */
const middle = lists / 2;

/** The value of each list. */
const valueOf = Float64Array.from(
  { length: lists },
  (_, list) => 2 ** ((list - middle) / listsPerOctave),
);

/**
 * The order of eviction, after GreedyDual-Size-Frequency. An entry's priority is the clock plus its
 * value, and the clock is the priority of the last evicted entry. So an entry that is no longer
 * requested is evicted in time, whatever it was worth. Entries with one rounded value form a list in
 * the order of their last use (as in CAMP). Nothing is sorted, so every step takes the same time for
 * ten entries as for a million.
 */
export class Order {
  readonly #older = new PagedNumbers(Uint32Array);
  readonly #newer = new PagedNumbers(Uint32Array);
  readonly #list = new PagedNumbers(Uint8Array);
  readonly #priority = new PagedNumbers(Float64Array);
  /** The ends of each list: the entry + 1, or 0 if the list is empty. */
  readonly #oldest = new Uint32Array(lists);
  readonly #newest = new Uint32Array(lists);
  /** The priority of each list's oldest entry. */
  readonly #headPriority = new Float64Array(lists).fill(Infinity);
  #clock = 0;

  /** What each entry takes, in bytes. */
  static readonly bytesEach = 17;

  /** Adds an entry behind all others of its value. `value` is a logarithm to the base 2. */
  add(entry: number, value: number): void {
    const rounded = Math.round(value * listsPerOctave) + middle;
    const list = Math.max(0, Math.min(lists - 1, rounded));
    const priority = this.#clock + (valueOf[list] ?? 0);
    const last = this.#newest[list] ?? 0;
    this.#list.set(entry, list);
    this.#priority.set(entry, priority);
    this.#older.set(entry, last);
    this.#newer.set(entry, 0);
    this.#newest[list] = entry + 1;
    if (last === 0) this.#setHead(list, entry + 1);
    else this.#newer.set(last - 1, entry + 1);
  }

  remove(entry: number): void {
    const list = this.#list.get(entry);
    const [older, newer] = [this.#older.get(entry), this.#newer.get(entry)];
    if (newer === 0) this.#newest[list] = older;
    else this.#older.set(newer - 1, older);
    if (older === 0) this.#setHead(list, newer);
    else this.#newer.set(older - 1, newer);
  }

  /** Returns the entry of the lowest priority, or -1 if there is none, and sets the clock to its priority. */
  next(): number {
    let [list, least] = [-1, Infinity];
    for (let at = 0; at < lists; at++) {
      const priority = this.#headPriority[at] ?? Infinity;
      if (priority < least) [list, least] = [at, priority];
    }
    if (list === -1) return -1;
    this.#clock = Math.max(this.#clock, least);
    return (this.#oldest[list] ?? 0) - 1;
  }

  #setHead(list: number, first: number): void {
    this.#oldest[list] = first;
    this.#headPriority[list] = first === 0 ? Infinity : this.#priority.get(first - 1);
  }
}
