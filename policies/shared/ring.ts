/** The newest of what was put in, as many as it has places. */
export class Ring<T> {
  #kept: T[] = [];
  /** Where the oldest is, once all places are taken. */
  #oldest = 0;
  #places: number;

  constructor(places: number) {
    this.#places = places;
  }

  /** With fewer places the oldest go. */
  resize(places: number): void {
    this.#kept = this.newestFirst().slice(0, places).toReversed();
    this.#oldest = 0;
    this.#places = places;
  }

  add(one: T): void {
    if (this.#kept.length < this.#places) {
      this.#kept.push(one);
      return;
    }
    if (this.#places === 0) return;
    this.#kept[this.#oldest] = one;
    this.#oldest = (this.#oldest + 1) % this.#places;
  }

  newestFirst(): T[] {
    return [...this.#kept.slice(this.#oldest), ...this.#kept.slice(0, this.#oldest)].toReversed();
  }
}
