import { Ring } from '../../shared/ring.ts';
import { type Noted, type NotedOutcome, RecentRequest } from './recent-request.ts';

/**
 * The newest requests of this process: so many that the cache answered, and as many others, so that
 * many hits push no miss out.
 */
export class RecentRequests {
  readonly #served = new Ring<RecentRequest>(0);
  readonly #others = new Ring<RecentRequest>(0);
  readonly #begin = Date.now().toString(36);
  #count = 0;
  #places = 0;

  /** Takes effect at once; 0 keeps none. */
  configure(places: number): void {
    if (places === this.#places) return;
    this.#places = places;
    this.#served.resize(places);
    this.#others.resize(places);
  }

  /** How many of each kind there may be. */
  get places(): number {
    return this.#places;
  }

  /** Begins the note of a request that has none yet; null where none are kept. */
  begin(request: Noted, pipeline: string, outcome: NotedOutcome): RecentRequest | null {
    if (this.#places === 0) return null;
    return (request.note ??= new RecentRequest(++this.#count, request, pipeline, outcome));
  }

  /** Keeps a note, once its request is over. What becomes known later is still written into it. */
  keep(note: RecentRequest): void {
    (note.isServed ? this.#served : this.#others).add(note);
  }

  /** The newest first. */
  all(): RecentRequest[] {
    const all = [...this.#served.newestFirst(), ...this.#others.newestFirst()];
    return all.toSorted((one, other) => other.at - one.at || other.number - one.number);
  }

  /** Tells a request from others, also of an earlier process. */
  idOf({ number }: RecentRequest): string {
    return `${this.#begin}-${number.toString(36)}`;
  }
}
