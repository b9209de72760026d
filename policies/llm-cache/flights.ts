import type { Flight } from './flight.ts';

const hitForMissMs = 5000;
const maxHitForMiss = 10_000;

/** The calls under way, by key, and the keys whose calls are not worth waiting for. */
export class Flights {
  /**
   * Each in a seat that is emptied: a Map that has been filled and emptied for some time takes a new
   * table, and what was in the old one would be kept as long as that.
   */
  readonly #open = new Map<string, { flight: Flight | null }>();
  /** Hit-for-miss: until when a key does not coalesce, oldest first. */
  readonly #hitForMiss = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The call that a request may join. */
  find(key: string): Flight | undefined {
    const flight = this.#open.get(key)?.flight;
    return flight?.isOpen ? flight : undefined;
  }

  /** Requests that wait for, or read along with, another one's call. */
  get joiners(): number {
    return [...this.#open.values()].reduce((sum, { flight }) => sum + (flight?.joiners ?? 0), 0);
  }

  open(key: string, flight: Flight): void {
    const seat = this.#open.get(key);
    if (seat === undefined) this.#open.set(key, { flight });
    else seat.flight = flight;
  }

  close(key: string, flight: Flight): void {
    const seat = this.#open.get(key);
    if (seat?.flight !== flight) return;
    seat.flight = null;
    this.#open.delete(key);
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
