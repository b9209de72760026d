/** A ring buffer: it keeps the newest items, up to its capacity. */
export class Ring<T> {
  #items: T[] = [];
  /** The index of the oldest item, once the buffer is full. */
  #oldest = 0;
  #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Changes the capacity; a smaller one drops the oldest items. */
  resize(capacity: number): void {
    this.#items = this.newestFirst().slice(0, capacity).toReversed();
    this.#oldest = 0;
    this.#capacity = capacity;
  }

  add(item: T): void {
    if (this.#items.length < this.#capacity) {
      this.#items.push(item);
      return;
    }
    if (this.#capacity === 0) return;
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
  }

  newestFirst(): T[] {
    return [...this.#items.slice(this.#oldest), ...this.#items.slice(0, this.#oldest)].toReversed();
  }
}
