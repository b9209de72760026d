import type { Flight } from './flight.ts';

const hitForMissMs = 5000;
const maxHitForMiss = 10_000;

/** The calls under way, by key, and the keys whose calls are not worth waiting for. */
export class Flights {
  readonly #open = new Map<string, Flight>();
  /** Hit-for-miss: until when a key does not coalesce, oldest first. */
  readonly #hitForMiss = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The call that a request may join. */
  find(key: string): Flight | undefined {
    const flight = this.#open.get(key);
    return flight?.isOpen ? flight : undefined;
  }

  /** Requests that wait for, or read along with, another one's call. */
  get joiners(): number {
    return [...this.#open.values()].reduce((sum, { joiners }) => sum + joiners, 0);
  }

  open(key: string, flight: Flight): void {
    this.#open.set(key, flight);
  }

  close(key: string, flight: Flight): void {
    if (this.#open.get(key) === flight) this.#open.delete(key);
  }

  /** Whether identical requests of this key go each by itself for the moment. */
  isHitForMiss(key: string): boolean {
    const until = this.#hitForMiss.get(key);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#hitForMiss.delete(key);
    return false;
  }

  /** The key's calls are not worth waiting for. */
  markHitForMiss(key: string): void {
    this.#hitForMiss.delete(key);
    this.#hitForMiss.set(key, this.#now() + hitForMissMs);
    if (this.#hitForMiss.size <= maxHitForMiss) return;
    const [oldest] = this.#hitForMiss.keys();
    if (oldest !== undefined) this.#hitForMiss.delete(oldest);
  }

  /** The key's call was worth it after all. */
  clearHitForMiss(key: string): void {
    this.#hitForMiss.delete(key);
  }
}
