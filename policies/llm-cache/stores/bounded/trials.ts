import type { Ranking, Rankings } from './ranking.ts';
import { type Facts, absent, Shadow } from './shadow.ts';
import { hasPrice, usdOfWorth } from './worth.ts';

/** An estimate of what more memory would have saved. */
export interface Estimate {
  readonly hits: number;
  /** At list price. Hits on entries without a price are left out. */
  readonly usd: number;
}

/** A trial lasts this many requests that one ranking would hit and another miss. Earlier trials then count half. */
const trialLength = 200;
/** Another ranking must have saved this many times as much in the trials, because less may be chance. */
const margin = 1.2;

/**
 * Simulates on a sample of the keys which ranking saves most, and what the current ranking would
 * save with twice the memory. After Waldspurger and others, "Cache Modeling and Optimization using
 * Miniature Simulations" (2017).
 */
export class Trials {
  readonly #candidates: readonly Shadow[];
  readonly #twice: Shadow;
  readonly #saved: number[];
  #current = 0;
  #differences = 0;
  /** A hash is sampled if its highest bits, this many of them, are all 0. */
  #zeroBits = 0;
  #hits = 0;
  #usd = 0;

  /** Begins with the first candidate. Each shadow holds up to `places` entries in `room` bytes. */
  constructor(candidates: readonly Ranking[], rankings: Rankings, places: number, room: number) {
    this.#candidates = candidates.map((one) => new Shadow(one, rankings, places, room));
    this.#twice = new Shadow(candidates[0] ?? 'lru', rankings, 2 * places, 2 * room);
    this.#saved = candidates.map(() => 0);
  }

  /** The memory that the trials take. */
  static bytesFor(candidates: number, places: number): number {
    return candidates * Shadow.bytesFor(places) + Shadow.bytesFor(2 * places);
  }

  /** The ranking that saves most. */
  get ranking(): Ranking {
    return this.#twice.ranking;
  }

  get twiceTheMemory(): Estimate {
    return { hits: Math.max(0, this.#hits), usd: Math.max(0, this.#usd) };
  }

  /** Records a request for a key. `facts` are those of its entry, or null on a miss. */
  ask(hash: number, now: number, facts: Facts | null): void {
    if (!this.#isSampled(hash)) return;
    const worths = this.#candidates.map((shadow) => shadow.ask(hash, now));
    this.#compare(worths);
    const current = worths[this.#current] ?? absent;
    const twice = this.#twice.ask(hash, now);
    if (twice !== absent && current === absent) this.#count(twice, 2 ** this.#zeroBits);
    if (twice === absent && current !== absent) this.#count(current, -(2 ** this.#zeroBits));
    if (facts === null) return;
    for (const shadow of this.#shadows()) if (!shadow.has(hash)) this.#put(shadow, facts, 2);
  }

  /** Records that an entry was stored. `asked` is its request count. */
  store(facts: Facts, asked: number): void {
    if (!this.#isSampled(facts.hash)) return;
    for (const shadow of this.#shadows()) this.#put(shadow, facts, asked);
  }

  /** Records that an entry was removed for a reason other than eviction. */
  remove(hash: number): void {
    if (this.#isSampled(hash)) for (const shadow of this.#shadows()) shadow.remove(hash);
  }

  #compare(worths: readonly number[]): void {
    const isHeld = worths.map((worth) => worth !== absent);
    if (isHeld.every((held) => held === isHeld[0])) return;
    for (const [at, worth] of worths.entries()) {
      if (worth !== absent) this.#saved[at] = (this.#saved[at] ?? 0) + usdOfWorth(worth);
    }
    if (++this.#differences % trialLength === 0) this.#selectRanking();
  }

  #put(shadow: Shadow, facts: Facts, asked: number): void {
    shadow.put(facts, asked);
    while (shadow.isFull) this.#halveSample();
  }

  #count(worth: number, weight: number): void {
    this.#hits += weight;
    if (hasPrice(worth)) this.#usd += usdOfWorth(worth) * weight;
  }

  #selectRanking(): void {
    const most = Math.max(...this.#saved);
    if (most > (this.#saved[this.#current] ?? 0) * margin) {
      this.#current = this.#saved.indexOf(most);
      this.#twice.ranking = this.#candidates[this.#current]?.ranking ?? this.#twice.ranking;
    }
    for (const at of this.#saved.keys()) this.#saved[at] = (this.#saved[at] ?? 0) / 2;
  }

  /** Halves the sample, because there are more keys than places. */
  #halveSample(): void {
    this.#zeroBits++;
    for (const shadow of this.#shadows()) shadow.halve((hash) => this.#isSampled(hash));
  }

  #isSampled(hash: number): boolean {
    return this.#zeroBits === 0 || hash >>> (32 - this.#zeroBits) === 0;
  }

  *#shadows(): Generator<Shadow, void> {
    yield* this.#candidates;
    yield this.#twice;
  }
}
