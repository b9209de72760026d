import { HashIndex } from './hash-index.ts';
import { Order } from './order.ts';
import type { Ranking, Rankings } from './ranking.ts';

/** What a shadow knows of an entry. */
export interface Facts {
  readonly hash: number;
  readonly bytes: number;
  readonly worth: number;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
}

/** In place of a worth, where there is no entry. */
export const nothing = -1;

/**
 * What a store of that ranking and room would hold, without what it holds: of a sample of the keys,
 * in that part of the room.
 */
export class Shadow {
  ranking: Ranking;
  readonly #rankings: Rankings;
  readonly #capacity: number;
  #room: number;
  readonly #index: HashIndex;
  readonly #order = new Order();
  readonly #hashes: Uint32Array;
  readonly #bytes: Uint32Array;
  readonly #worths: Uint16Array;
  readonly #asked: Uint8Array;
  /** Seconds since the epoch, up. */
  readonly #until: Uint32Array;
  readonly #free: Uint32Array;
  #entries = 0;
  #used = 0;

  constructor(ranking: Ranking, rankings: Rankings, capacity: number, room: number) {
    this.ranking = ranking;
    this.#rankings = rankings;
    this.#capacity = capacity;
    this.#room = room;
    this.#hashes = new Uint32Array(capacity);
    this.#index = new HashIndex(this.#hashes);
    this.#bytes = new Uint32Array(capacity);
    this.#worths = new Uint16Array(capacity);
    this.#asked = new Uint8Array(capacity);
    this.#until = new Uint32Array(capacity);
    this.#free = Uint32Array.from({ length: capacity }, (_, place) => place);
  }

  static bytesFor(capacity: number): number {
    return HashIndex.bytesFor(capacity) + capacity * (19 + Order.bytesEach);
  }

  /** Whether it has a place for one more. */
  get isFull(): boolean {
    return this.#entries === this.#capacity;
  }

  has(hash: number): boolean {
    return this.#index.find(hash) !== -1;
  }

  /** The worth of the entry that it would have answered with, or `nothing`. */
  ask(hash: number, now: number): number {
    const place = this.#index.find(hash);
    if (place === -1) return nothing;
    if ((this.#until[place] ?? 0) * 1000 <= now) {
      this.#drop(place);
      return nothing;
    }
    this.#asked[place] = Math.min(255, (this.#asked[place] ?? 0) + 1);
    this.#order.remove(place);
    this.#enter(place);
    return this.#worths[place] ?? 0;
  }

  /** Takes an entry in, in place of the one that it has of that key. Not when it is full. */
  put({ hash, bytes, worth, freshUntil }: Facts, asked: number): void {
    const before = this.#index.find(hash);
    if (before !== -1) this.#drop(before);
    if (bytes > this.#room || this.isFull) return;
    const place = this.#free[this.#entries++] ?? 0;
    this.#index.add(hash, place);
    this.#bytes[place] = bytes;
    this.#worths[place] = worth;
    this.#asked[place] = asked;
    this.#until[place] = Math.ceil(freshUntil / 1000);
    this.#used += bytes;
    this.#enter(place);
    this.#makeRoom();
  }

  /** Half of the sample goes, and half of the room with it. */
  halve(isSampled: (hash: number) => boolean): void {
    this.#room /= 2;
    for (let place = 0; place < this.#capacity; place++) {
      if (this.#asked[place] !== 0 && !isSampled(this.#hashes[place] ?? 0)) this.#drop(place);
    }
    this.#makeRoom();
  }

  remove(hash: number): void {
    const place = this.#index.find(hash);
    if (place !== -1) this.#drop(place);
  }

  #makeRoom(): void {
    while (this.#used > this.#room) this.#drop(this.#order.next());
  }

  #enter(place: number): void {
    const [worth, bytes] = [this.#worths[place] ?? 0, this.#bytes[place] ?? 0];
    const asked = this.#asked[place] ?? 1;
    this.#order.add(place, this.#rankings.value(this.ranking, worth, bytes, asked));
  }

  #drop(place: number): void {
    this.#order.remove(place);
    this.#index.remove(this.#hashes[place] ?? 0);
    this.#asked[place] = 0;
    this.#used -= this.#bytes[place] ?? 0;
    this.#free[--this.#entries] = place;
  }
}
