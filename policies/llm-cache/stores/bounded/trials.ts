import type { Ranking, Rankings } from './ranking.ts';
import { type Facts, nothing, Shadow } from './shadow.ts';
import { hasPrice, usdOfWorth } from './worth.ts';

/** What more memory would have saved: an estimate. */
export interface Estimate {
  readonly hits: number;
  /** At list price; hits without a price are not in it. */
  readonly usd: number;
}

/** A trial has so many requests that one ranking would have answered and another not; what the ones before it have shown counts for half. */
const trialLength = 200;
/** Of those another ranking must have saved so much more: less may be chance. */
const margin = 1.2;

/**
 * Tries on a sample of the keys which ranking saves most, and what the one in use would save with
 * twice the memory. After Waldspurger and others, "Cache Modeling and Optimization using Miniature
 * Simulations" (2017).
 */
export class Trials {
  readonly #candidates: readonly Shadow[];
  readonly #twice: Shadow;
  readonly #saved: number[];
  #current = 0;
  #differences = 0;
  /** So many of a hash's highest bits are 0 where it is sampled. */
  #bits = 0;
  #hits = 0;
  #usd = 0;

  /** Begins with the first of the rankings. Each has so many places, and that room in bytes. */
  constructor(candidates: readonly Ranking[], rankings: Rankings, places: number, room: number) {
    this.#candidates = candidates.map((one) => new Shadow(one, rankings, places, room));
    this.#twice = new Shadow(candidates[0] ?? 'lru', rankings, 2 * places, 2 * room);
    this.#saved = candidates.map(() => 0);
  }

  static bytesFor(candidates: number, places: number): number {
    return candidates * Shadow.bytesFor(places) + Shadow.bytesFor(2 * places);
  }

  /** The one that saves most. */
  get ranking(): Ranking {
    return this.#twice.ranking;
  }

  get twiceTheMemory(): Estimate {
    return { hits: Math.max(0, this.#hits), usd: Math.max(0, this.#usd) };
  }

  /** A key is asked for; `facts` are those of its entry, where the store has it. */
  ask(hash: number, now: number, facts: Facts | null): void {
    if (!this.#isSampled(hash)) return;
    const worths = this.#candidates.map((shadow) => shadow.ask(hash, now));
    this.#compare(worths);
    const current = worths[this.#current] ?? nothing;
    const twice = this.#twice.ask(hash, now);
    if (twice !== nothing && current === nothing) this.#count(twice, 2 ** this.#bits);
    if (twice === nothing && current !== nothing) this.#count(current, -(2 ** this.#bits));
    if (facts === null) return;
    for (const shadow of this.#shadows()) if (!shadow.has(hash)) this.#put(shadow, facts, 2);
  }

  /** An entry has been stored, to the request for it that counts as `asked`. */
  store(facts: Facts, asked: number): void {
    if (!this.#isSampled(facts.hash)) return;
    for (const shadow of this.#shadows()) this.#put(shadow, facts, asked);
  }

  /** An entry has been thrown out by an operator, or has changed. */
  remove(hash: number): void {
    if (this.#isSampled(hash)) for (const shadow of this.#shadows()) shadow.remove(hash);
  }

  #compare(worths: readonly number[]): void {
    const isHeld = worths.map((worth) => worth !== nothing);
    if (isHeld.every((one) => one === isHeld[0])) return;
    for (const [at, worth] of worths.entries()) {
      if (worth !== nothing) this.#saved[at] = (this.#saved[at] ?? 0) + usdOfWorth(worth);
    }
    if (++this.#differences % trialLength === 0) this.#judge();
  }

  #put(shadow: Shadow, facts: Facts, asked: number): void {
    shadow.put(facts, asked);
    while (shadow.isFull) this.#thinOut();
  }

  #count(worth: number, weight: number): void {
    this.#hits += weight;
    if (hasPrice(worth)) this.#usd += usdOfWorth(worth) * weight;
  }

  #judge(): void {
    const most = Math.max(...this.#saved);
    if (most > (this.#saved[this.#current] ?? 0) * margin) {
      this.#current = this.#saved.indexOf(most);
      this.#twice.ranking = this.#candidates[this.#current]?.ranking ?? this.#twice.ranking;
    }
    for (const at of this.#saved.keys()) this.#saved[at] = (this.#saved[at] ?? 0) / 2;
  }

  /** There are more keys than places: from now on half as many are looked at. */
  #thinOut(): void {
    this.#bits++;
    for (const shadow of this.#shadows()) shadow.halve((hash) => this.#isSampled(hash));
  }

  #isSampled(hash: number): boolean {
    return this.#bits === 0 || hash >>> (32 - this.#bits) === 0;
  }

  *#shadows(): Generator<Shadow, void> {
    yield* this.#candidates;
    yield this.#twice;
  }
}
