import type { EvictionStats } from '../store.ts';
import { Ghost } from './ghost.ts';
import { Order } from './order.ts';
import { PagedNumbers } from './paged.ts';
import { type Ranking, Rankings } from './ranking.ts';
import type { Facts } from './shadow.ts';
import { Trials } from './trials.ts';

/** By what a store chooses what goes when there is no room: the setting `eviction`. */
export type EvictionKind = 'worth' | 'lru';

type Evicted = Pick<Facts, 'hash' | 'freshUntil'>;

/** What the ghost and the trials take at most. */
const [ghostShare, trialsShare] = [1 / 96, 1 / 72];
/** Less memory than that is not worth any trial. */
const leastForTrials = 2 ** 20;
const [fewestRemembered, mostRemembered] = [64, 2 ** 18];
const ghostFactor = 4;
const mostPlaces = 4096;

const candidatesOf = { worth: ['worth', 'blend'], lru: ['lru'] } as const;

/** Chooses which entries go when there is no room. An entry is known here by its number. */
export class Eviction {
  readonly #rankings = new Rankings();
  #order = new Order();
  #asked = new PagedNumbers(Uint8Array);
  #worths = new PagedNumbers(Uint16Array);
  readonly #kind: EvictionKind;
  /** How many entries the ghost remembers at most. */
  readonly #mostRemembered: number;
  /** Null until there is something to remember. */
  #ghost: Ghost | null = null;
  #ghostBytes: number;
  readonly #trials: Trials | null;
  readonly #trialsBytes: number;

  constructor(kind: EvictionKind, maxBytes: number) {
    const candidates = candidatesOf[kind];
    const remembered = countFor(maxBytes * ghostShare, Ghost.bytesFor);
    const forPlaces = (places: number) => Trials.bytesFor(candidates.length, places);
    const places = Math.min(mostPlaces, countFor(maxBytes * trialsShare, forPlaces));
    const isTried = maxBytes >= leastForTrials;
    this.#kind = kind;
    this.#mostRemembered = Math.max(fewestRemembered, Math.min(mostRemembered, remembered));
    this.#trialsBytes = isTried ? forPlaces(places) : 0;
    this.#ghostBytes = isTried ? Ghost.bytesFor(this.#mostRemembered) : 0;
    const room = maxBytes - this.reserved;
    this.#trials = isTried ? new Trials(candidates, this.#rankings, places, room) : null;
  }

  /** What is kept in memory beside what the entries themselves pay for, in bytes: at most, until there is no room. */
  get reserved(): number {
    return this.#trialsBytes + this.#ghostBytes;
  }

  /** The same at the moment: next to nothing until there has been no room. */
  get bytes(): number {
    return this.#ghost === null ? 0 : this.reserved;
  }

  /** What an entry takes here. */
  static readonly bytesEach = Order.bytesEach + 3;

  /** An entry has been stored; `asked` is how often the one was asked for whose place it takes, else 0. */
  add(entry: number, facts: Facts, asked: number): void {
    const remembered = this.#ghost?.take(facts.hash) ?? 0;
    const count = asked > 0 ? asked : Math.min(255, remembered + 1);
    this.#asked.set(entry, count);
    this.#worths.set(entry, facts.worth);
    this.#rankings.learn(facts.worth, facts.bytes);
    this.#enter(entry, facts.bytes);
    this.#trials?.store(facts, count);
  }

  /** How often an entry was asked for. */
  askedFor(entry: number): number {
    return this.#asked.get(entry);
  }

  /** The worth of an entry, as `packWorth` has it. */
  worthOf(entry: number): number {
    return this.#worths.get(entry);
  }

  /** An entry is asked for, and there. */
  hit(entry: number, facts: Facts, now: number): void {
    this.#asked.set(entry, Math.min(255, this.#asked.get(entry) + 1));
    this.#order.remove(entry);
    this.#enter(entry, facts.bytes);
    this.#trials?.ask(facts.hash, now, facts);
  }

  /** A key is asked for that is not there. */
  miss(hash: number, now: number): void {
    this.#ghost?.askedFor(hash, now);
    this.#trials?.ask(hash, now, null);
  }

  /** The entry that is to go next; -1 where there is none. */
  next(): number {
    return this.#order.next();
  }

  /** An entry goes to make room, of so many `entries`. */
  evict(entry: number, { hash, freshUntil }: Evicted, entries: number): void {
    const [asked, worth] = [this.#asked.get(entry), this.#worths.get(entry)];
    this.#ghost ??= this.#makeGhost(entries);
    this.#ghost.remember({ hash, asked, worth, freshUntil });
    this.#order.remove(entry);
  }

  /** An entry goes for another reason. */
  remove(entry: number, hash: number): void {
    this.#order.remove(entry);
    this.#trials?.remove(hash);
  }

  /** There is no entry any more, and they are numbered anew. */
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

  /** For so many times as many as there are where the store is full: to remember more saves next to nothing. */
  #makeGhost(entries: number): Ghost {
    const wanted = ghostFactor * entries;
    const capacity = Math.max(fewestRemembered, Math.min(this.#mostRemembered, wanted));
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

/** How many of something there may be in so many bytes. */
function countFor(bytes: number, bytesFor: (count: number) => number): number {
  return Math.floor((bytes * 1000) / bytesFor(1000));
}
