import { HashIndex } from './hash-index.ts';
import { hasPrice, usdOfWorth } from './worth.ts';

/** What was missed because it had been thrown out to make room. */
export interface Missed {
  readonly hits: number;
  /** At list price; hits without a price are not in it. */
  readonly usd: number;
}

/** What is remembered of an entry that was thrown out. */
export interface Remembered {
  readonly hash: number;
  /** How often it has been asked for. */
  readonly asked: number;
  /** As `packWorth` has it. */
  readonly worth: number;
  /** Milliseconds since the epoch. */
  readonly freshUntil: number;
}

/**
 * Remembers the entries that were thrown out last, by a hash of the key: how often each was asked
 * for, so that one that comes back need not prove itself anew, and what it would have saved.
 */
export class Ghost {
  readonly #capacity: number;
  readonly #index: HashIndex;
  readonly #hashes: Uint32Array;
  /** 0 where nothing is remembered. */
  readonly #asked: Uint8Array;
  readonly #worths: Uint16Array;
  /** Seconds since the epoch, up. */
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

  static bytesFor(capacity: number): number {
    return HashIndex.bytesFor(capacity) + capacity * 11;
  }

  get missed(): Missed {
    return { hits: this.#hits, usd: this.#usd };
  }

  /** In the place of the one that was remembered for the longest time. */
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

  /** An entry was asked for that is not there: a hit was missed where it would still be fresh. */
  askedFor(hash: number, now: number): void {
    const place = this.#index.find(hash);
    if (place === -1 || (this.#until[place] ?? 0) * 1000 <= now) return;
    const worth = this.#worths[place] ?? 0;
    this.#hits++;
    if (hasPrice(worth)) this.#usd += usdOfWorth(worth);
  }

  /** How often it was asked for, and it is remembered no more; 0 where it is not known. */
  take(hash: number): number {
    const place = this.#index.find(hash);
    if (place === -1) return 0;
    const asked = this.#asked[place] ?? 0;
    this.#index.remove(hash);
    this.#asked[place] = 0;
    return asked;
  }
}
