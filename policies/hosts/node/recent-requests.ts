import { Ring } from '../../shared/ring.ts';
import { type Noted, type NotedOutcome, RecentRequest } from './recent-request.ts';

/**
 * The newest requests of this process. The requests that the cache answered and the others have a
 * ring buffer each, so that many hits evict no miss.
 */
export class RecentRequests {
  readonly #served = new Ring<RecentRequest>(0);
  readonly #others = new Ring<RecentRequest>(0);
  readonly #processId = Date.now().toString(36);
  #count = 0;
  #places = 0;

  /** Sets how many requests of each kind are kept; 0 keeps none. Takes effect at once. */
  configure(places: number): void {
    if (places === this.#places) return;
    this.#places = places;
    this.#served.resize(places);
    this.#others.resize(places);
  }

  /** How many requests of each kind are kept. */
  get places(): number {
    return this.#places;
  }

  /** Returns the note of a request, and creates it if needed; null if no requests are kept. */
  begin(request: Noted, pipeline: string, outcome: NotedOutcome): RecentRequest | null {
    if (this.#places === 0) return null;
    return (request.note ??= new RecentRequest(++this.#count, request, pipeline, outcome));
  }

  /** Keeps a note when its request is over. Facts that become known later are still added to it. */
  keep(note: RecentRequest): void {
    (note.isServed ? this.#served : this.#others).add(note);
  }

  /** All notes, the newest first. */
  all(): RecentRequest[] {
    const all = [...this.#served.newestFirst(), ...this.#others.newestFirst()];
    return all.toSorted((one, other) => other.at - one.at || other.number - one.number);
  }

  /** An id that also differs from those of earlier processes. */
  idOf({ number }: RecentRequest): string {
    return `${this.#processId}-${number.toString(36)}`;
  }
}
