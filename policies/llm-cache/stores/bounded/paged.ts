/** A page's length is a power of two, so that a shift finds the page. */
const pageBits = 10;
const pageLength = 1 << pageBits;
const placeMask = pageLength - 1;

type Numbers = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/**
 * A growing array of numbers, allocated in pages: to reallocate an array of a million in one piece
 * would block the event loop. Numbers that were never set are 0.
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

/** A growing array of items, allocated in pages. Items that were never set are undefined. */
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
