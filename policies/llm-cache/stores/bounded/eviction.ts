import type { EvictionStats } from '../store.ts';
import { Ghost } from './ghost.ts';
import { Order } from './order.ts';
import { PagedNumbers } from './paged.ts';
import { type Ranking, Rankings } from './ranking.ts';
import type { Facts } from './shadow.ts';
import { Trials } from './trials.ts';

/** How a full store chooses what to evict: the setting `eviction`. */
export type EvictionKind = 'worth' | 'lru';

type Evicted = Pick<Facts, 'hash' | 'freshUntil'>;

/** The shares of the store that the ghost list and the trials may take. */
const [ghostShare, trialsShare] = [1 / 96, 1 / 72];
/** A smaller store makes no trials. */
const minBytesForTrials = 2 ** 20;
const [minRemembered, maxRemembered] = [64, 2 ** 18];
/** The ghost list remembers this many times the entries of a full store. More saves next to nothing. */
const ghostFactor = 4;
const maxPlaces = 4096;

const candidatesOf = { worth: ['worth', 'blend'], lru: ['lru'] } as const;

/** Chooses which entries a full store evicts. Entries are identified by their slot numbers. */
export class Eviction {
  readonly #rankings = new Rankings();
  #order = new Order();
  #asked = new PagedNumbers(Uint8Array);
  #worths = new PagedNumbers(Uint16Array);
  readonly #kind: EvictionKind;
  /** The bound on the entries that the ghost list remembers. */
  readonly #maxRemembered: number;
  /** Null until the first eviction. */
  #ghost: Ghost | null = null;
  #ghostBytes: number;
  readonly #trials: Trials | null;
  readonly #trialsBytes: number;

  constructor(kind: EvictionKind, maxBytes: number) {
    const candidates = candidatesOf[kind];
    const remembered = countFor(maxBytes * ghostShare, Ghost.bytesFor);
    const forPlaces = (places: number) => Trials.bytesFor(candidates.length, places);
    const places = Math.min(maxPlaces, countFor(maxBytes * trialsShare, forPlaces));
    const hasTrials = maxBytes >= minBytesForTrials;
    this.#kind = kind;
    this.#maxRemembered = Math.max(minRemembered, Math.min(maxRemembered, remembered));
    this.#trialsBytes = hasTrials ? forPlaces(places) : 0;
    this.#ghostBytes = hasTrials ? Ghost.bytesFor(this.#maxRemembered) : 0;
    const room = maxBytes - this.reserved;
    this.#trials = hasTrials ? new Trials(candidates, this.#rankings, places, room) : null;
  }

  /** The bytes to reserve for the ghost list and the trials: an upper bound until the first eviction. */
  get reserved(): number {
    return this.#trialsBytes + this.#ghostBytes;
  }

  /** The bytes that the ghost list and the trials take now: next to none before the first eviction. */
  get bytes(): number {
    return this.#ghost === null ? 0 : this.reserved;
  }

  /** What each entry takes, in bytes. */
  static readonly bytesEach = Order.bytesEach + 3;

  /** Adds a stored entry. `asked` is the request count of the entry that it replaces, or 0. */
  add(entry: number, facts: Facts, asked: number): void {
    const remembered = this.#ghost?.take(facts.hash) ?? 0;
    const count = asked > 0 ? asked : Math.min(255, remembered + 1);
    this.#asked.set(entry, count);
    this.#worths.set(entry, facts.worth);
    this.#rankings.learn(facts.worth, facts.bytes);
    this.#enter(entry, facts.bytes);
    this.#trials?.store(facts, count);
  }

  /** The request count of an entry. */
  askedFor(entry: number): number {
    return this.#asked.get(entry);
  }

  /** The worth of an entry, packed. */
  worthOf(entry: number): number {
    return this.#worths.get(entry);
  }

  /** Records a hit. */
  hit(entry: number, facts: Facts, now: number): void {
    this.#asked.set(entry, Math.min(255, this.#asked.get(entry) + 1));
    this.#order.remove(entry);
    this.#enter(entry, facts.bytes);
    this.#trials?.ask(facts.hash, now, facts);
  }

  /** Records a miss. */
  miss(hash: number, now: number): void {
    this.#ghost?.askedFor(hash, now);
    this.#trials?.ask(hash, now, null);
  }

  /** Returns the entry to evict next, or -1 if there is none. */
  next(): number {
    return this.#order.next();
  }

  /** Records that an entry is evicted, from a store of `entries` entries. */
  evict(entry: number, { hash, freshUntil }: Evicted, entries: number): void {
    const [asked, worth] = [this.#asked.get(entry), this.#worths.get(entry)];
    this.#ghost ??= this.#makeGhost(entries);
    this.#ghost.remember({ hash, asked, worth, freshUntil });
    this.#order.remove(entry);
  }

  /** Records that an entry is removed for a reason other than eviction. */
  remove(entry: number, hash: number): void {
    this.#order.remove(entry);
    this.#trials?.remove(hash);
  }

  /** Starts again with an empty order. Called when all entries are gone and slots are numbered from 0 again. */
  restart(): void {
    this.#order = new Order();
    this.#asked = new PagedNumbers(Uint8Array);
    this.#worths = new PagedNumbers(Uint16Array);
  }

  stats(): EvictionStats {
    const { hits: missedHits, usd: missedUsd } = this.#ghost?.missed ?? { hits: 0, usd: 0 };
    return {
      ranking: this.#ranking,
      missedHits,
      missedUsd,
      twiceTheMemory: this.#trials?.twiceTheMemory ?? null,
    };
  }

  #makeGhost(entries: number): Ghost {
    const wanted = ghostFactor * entries;
    const capacity = Math.max(minRemembered, Math.min(this.#maxRemembered, wanted));
    if (this.#ghostBytes > 0) this.#ghostBytes = Ghost.bytesFor(capacity);
    return new Ghost(capacity);
  }

  get #ranking(): Ranking {
    return this.#trials?.ranking ?? this.#kind;
  }

  #enter(entry: number, bytes: number): void {
    const [worth, asked] = [this.#worths.get(entry), this.#asked.get(entry)];
    this.#order.add(entry, this.#rankings.value(this.#ranking, worth, bytes, asked));
  }
}

/** Returns how many items fit into the bytes. */
function countFor(bytes: number, bytesFor: (count: number) => number): number {
  return Math.floor((bytes * 1000) / bytesFor(1000));
}
