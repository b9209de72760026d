import type { Flight } from './flight.ts';

const hitForMissMs = 5000;
const maxHitForMiss = 10_000;

/** The calls under way, by key, and the keys whose calls are not worth waiting for. */
export class Flights {
  /**
   * Each flight is held in a slot that `close` empties: after many insertions and deletions a Map
   * moves to a new table, and the old table would retain its flights until it is collected.
   */
  readonly #open = new Map<string, { flight: Flight | null }>();
  /** Hit-for-miss: the time until which a key does not coalesce, oldest first. */
  readonly #hitForMiss = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Returns the call that a request with this key may join. */
  find(key: string): Flight | undefined {
    const flight = this.#open.get(key)?.flight;
    return flight?.isOpen ? flight : undefined;
  }

  /** The number of requests that wait for, or read along with, another request's call. */
  get joiners(): number {
    return [...this.#open.values()].reduce((sum, { flight }) => sum + (flight?.joiners ?? 0), 0);
  }

  open(key: string, flight: Flight): void {
    const slot = this.#open.get(key);
    if (slot === undefined) this.#open.set(key, { flight });
    else slot.flight = flight;
  }

  close(key: string, flight: Flight): void {
    const slot = this.#open.get(key);
    if (slot?.flight !== flight) return;
    slot.flight = null;
    this.#open.delete(key);
  }

  /** Whether requests with this key currently call the upstream separately. */
  isHitForMiss(key: string): boolean {
    const until = this.#hitForMiss.get(key);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#hitForMiss.delete(key);
    return false;
  }

  /** Stops coalescing this key for a while, after its answers could not be shared. */
  markHitForMiss(key: string): void {
    this.#hitForMiss.delete(key);
    this.#hitForMiss.set(key, this.#now() + hitForMissMs);
    if (this.#hitForMiss.size <= maxHitForMiss) return;
    const [oldest] = this.#hitForMiss.keys();
    if (oldest !== undefined) this.#hitForMiss.delete(oldest);
  }

  /** Coalesces this key again, after one of its answers was stored. */
  clearHitForMiss(key: string): void {
    this.#hitForMiss.delete(key);
  }
}
