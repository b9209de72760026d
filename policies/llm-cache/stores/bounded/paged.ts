/** Of a power of two, so that a place is found by shifting. */
const pageBits = 10;
const pageLength = 1 << pageBits;
const placeMask = pageLength - 1;

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/**
 * One number for each entry of a store, in pages: a table of a million that grows in one piece
 * blocks the event loop. What was never set is 0.
 */
export class PagedNumbers<A extends Numbers = Numbers> {
  readonly #kind: new (length: number) => A;
  readonly #pages: A[] = [];

  constructor(kind: new (length: number) => A) {
    this.#kind = kind;
  }

  get(at: number): number {
    return this.#pages[at >>> pageBits]?.[at & placeMask] ?? 0;
  }

  set(at: number, value: number): void {
    const page = at >>> pageBits;
    while (this.#pages.length <= page) this.#pages.push(new this.#kind(pageLength));
    (this.#pages[page] as Numbers)[at & placeMask] = value;
  }
}

/** The same for what is no number. What was never set is undefined. */
export class PagedItems<T> {
  readonly #pages: (T | undefined)[][] = [];

  get(at: number): T | undefined {
    return this.#pages[at >>> pageBits]?.[at & placeMask];
  }

  set(at: number, item: T | undefined): void {
    const page = at >>> pageBits;
    while (this.#pages.length <= page) {
      this.#pages.push(Array.from<T | undefined>({ length: pageLength }));
    }
    (this.#pages[page] as (T | undefined)[])[at & placeMask] = item;
  }
}
