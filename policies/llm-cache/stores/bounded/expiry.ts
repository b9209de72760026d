import { PagedNumbers } from './paged.ts';

/** Orders entries by expiry, in a binary heap. */
export class Expiry {
  readonly #expiresAt = new PagedNumbers(Float64Array);
  readonly #heap = new PagedNumbers(Uint32Array);
  readonly #place = new PagedNumbers(Uint32Array);
  #length = 0;

  /** When the entry expires, in milliseconds since the epoch. */
  of(entry: number): number {
    return this.#expiresAt.get(entry);
  }

  add(entry: number, expiresAt: number): void {
    this.#expiresAt.set(entry, expiresAt);
    this.#siftUp(this.#length++, entry);
  }

  remove(entry: number): void {
    const place = this.#place.get(entry);
    const last = this.#heap.get(--this.#length);
    if (last === entry) return;
    this.#siftUp(place, last);
    this.#siftDown(this.#place.get(last), last);
  }

  /** Returns the entry that expired first, or -1 if none has expired. */
  expired(now: number): number {
    if (this.#length === 0) return -1;
    const first = this.#heap.get(0);
    return this.#expiresAt.get(first) <= now ? first : -1;
  }

  #siftUp(from: number, entry: number): void {
    const expiresAt = this.#expiresAt.get(entry);
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap.get(parent);
      if (this.#expiresAt.get(above) <= expiresAt) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, entry);
  }

  #siftDown(from: number, entry: number): void {
    const expiresAt = this.#expiresAt.get(entry);
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#length) break;
      const right = child + 1;
      if (right < this.#length && this.#expiresAtPlace(right) < this.#expiresAtPlace(child))
        child = right;
      if (this.#expiresAtPlace(child) >= expiresAt) break;
      this.#put(place, this.#heap.get(child));
      place = child;
    }
    this.#put(place, entry);
  }

  #expiresAtPlace(place: number): number {
    return this.#expiresAt.get(this.#heap.get(place));
  }

  #put(place: number, entry: number): void {
    this.#heap.set(place, entry);
    this.#place.set(entry, place);
  }
}
