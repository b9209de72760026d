import { HashIndex } from './hash-index.ts';
import { Order } from './order.ts';
import type { Ranking, Rankings } from './ranking.ts';

/** What eviction knows of an entry. */
export interface Facts {
  readonly hash: number;
  readonly bytes: number;
  readonly worth: number;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
}

/** Stands for the worth of an entry that a shadow does not hold. */
export const absent = -1;

/**
 * Simulates a store with another ranking or size, without bodies. It sees only a sample of the keys
 * and has the same fraction of the room.
 */
export class Shadow {
  ranking: Ranking;
  readonly #rankings: Rankings;
  /** In entries. */
  readonly #capacity: number;
  /** In bytes. */
  #room: number;
  readonly #index: HashIndex;
  readonly #order = new Order();
  readonly #hashes: Uint32Array;
  readonly #bytes: Uint32Array;
  readonly #worths: Uint16Array;
  /** Request counts; 0 if the place is empty. */
  readonly #asked: Uint8Array;
  /** Seconds since the epoch, rounded up. */
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

  /** The memory that a shadow of this capacity takes. */
  static bytesFor(capacity: number): number {
    return HashIndex.bytesFor(capacity) + capacity * (19 + Order.bytesEach);
  }

  /** Whether all of its places are taken. */
  get isFull(): boolean {
    return this.#entries === this.#capacity;
  }

  has(hash: number): boolean {
    return this.#index.find(hash) !== -1;
  }

  /** Returns the worth of the entry that a hit would have used, or `absent` on a miss. */
  ask(hash: number, now: number): number {
    const place = this.#index.find(hash);
    if (place === -1) return absent;
    if ((this.#until[place] ?? 0) * 1000 <= now) {
      this.#drop(place);
      return absent;
    }
    this.#asked[place] = Math.min(255, (this.#asked[place] ?? 0) + 1);
    this.#order.remove(place);
    this.#enter(place);
    return this.#worths[place] ?? 0;
  }

  /** Adds an entry, replacing any that has the same hash. A full shadow does not add it. */
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

  /** Drops the entries that are no longer sampled, and half of the room. */
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
