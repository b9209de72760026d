import { HashIndex } from './hash-index.ts';
import { hasPrice, usdOfWorth } from './worth.ts';

/** The hits that were missed because their entries had been evicted. */
export interface Missed {
  readonly hits: number;
  /** At list price. Hits on entries without a price are left out. */
  readonly usd: number;
}

/** What a ghost list remembers of an evicted entry. */
export interface Remembered {
  readonly hash: number;
  /** The number of requests for it. */
  readonly asked: number;
  /** Packed by `packWorth`. */
  readonly worth: number;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
}

/**
 * A ghost list: remembers the latest evictions by a hash of the key. An entry that comes back keeps
 * its request count, and a request for an evicted entry counts as a missed hit.
 */
export class Ghost {
  readonly #capacity: number;
  readonly #index: HashIndex;
  readonly #hashes: Uint32Array;
  /** 0 if the place is empty. */
  readonly #asked: Uint8Array;
  readonly #worths: Uint16Array;
  /** Seconds since the epoch, rounded up. */
  readonly #until: Uint32Array;
  #next = 0;
  #hits = 0;
  #usd = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#hashes = new Uint32Array(capacity);
    this.#index = new HashIndex(this.#hashes);
    this.#asked = new Uint8Array(capacity);
    this.#worths = new Uint16Array(capacity);
    this.#until = new Uint32Array(capacity);
  }

  /** The memory that a ghost list of this capacity takes. */
  static bytesFor(capacity: number): number {
    return HashIndex.bytesFor(capacity) + capacity * 11;
  }

  get missed(): Missed {
    return { hits: this.#hits, usd: this.#usd };
  }

  /** Remembers an eviction. A full list forgets its oldest one. */
  remember({ hash, asked, worth, freshUntil }: Remembered): void {
    this.take(hash);
    const place = this.#next;
    this.#next = (place + 1) % this.#capacity;
    if (this.#asked[place] !== 0) this.#index.remove(this.#hashes[place] ?? 0);
    this.#index.add(hash, place);
    this.#asked[place] = asked;
    this.#worths[place] = worth;
    this.#until[place] = Math.ceil(freshUntil / 1000);
  }

  /** Records a request for a key that is not stored: a missed hit if the evicted entry would still be fresh. */
  askedFor(hash: number, now: number): void {
    const place = this.#index.find(hash);
    if (place === -1 || (this.#until[place] ?? 0) * 1000 <= now) return;
    const worth = this.#worths[place] ?? 0;
    this.#hits++;
    if (hasPrice(worth)) this.#usd += usdOfWorth(worth);
  }

  /** Forgets an entry and returns its request count, or 0 if it is unknown. */
  take(hash: number): number {
    const place = this.#index.find(hash);
    if (place === -1) return 0;
    const asked = this.#asked[place] ?? 0;
    this.#index.remove(hash);
    this.#asked[place] = 0;
    return asked;
  }
}
