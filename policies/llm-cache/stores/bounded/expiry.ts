import { PagedNumbers } from './paged.ts';

/** Entries by when they expire: a heap, whose first expires first. */
export class Expiry {
  readonly #at = new PagedNumbers(Float64Array);
  readonly #heap = new PagedNumbers(Uint32Array);
  readonly #place = new PagedNumbers(Uint32Array);
  #length = 0;

  /** Milliseconds since the epoch. */
  of(entry: number): number {
    return this.#at.get(entry);
  }

  add(entry: number, expiresAt: number): void {
    this.#at.set(entry, expiresAt);
    this.#up(this.#length++, entry);
  }

  remove(entry: number): void {
    const place = this.#place.get(entry);
    const last = this.#heap.get(--this.#length);
    if (last === entry) return;
    this.#up(place, last);
    this.#down(this.#place.get(last), last);
  }

  /** An entry that has expired by then; -1 where none has. */
  expired(now: number): number {
    if (this.#length === 0) return -1;
    const first = this.#heap.get(0);
    return this.#at.get(first) <= now ? first : -1;
  }

  #up(from: number, entry: number): void {
    const expiresAt = this.#at.get(entry);
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap.get(parent);
      if (this.#at.get(above) <= expiresAt) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, entry);
  }

  #down(from: number, entry: number): void {
    const expiresAt = this.#at.get(entry);
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#length) break;
      const right = child + 1;
      if (right < this.#length && this.#atPlace(right) < this.#atPlace(child)) child = right;
      if (this.#atPlace(child) >= expiresAt) break;
      this.#put(place, this.#heap.get(child));
      place = child;
    }
    this.#put(place, entry);
  }

  #atPlace(place: number): number {
    return this.#at.get(this.#heap.get(place));
  }

  #put(place: number, entry: number): void {
    this.#heap.set(place, entry);
    this.#place.set(entry, place);
  }
}
