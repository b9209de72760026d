import type { Flight } from './flight.ts';

const passMs = 5000;
const maxPassing = 10_000;

/** The calls under way, by key, and the keys whose calls are not worth waiting for. */
export class Flights {
  readonly #open = new Map<string, Flight>();
  /** Hit-for-miss: until when a key does not coalesce, oldest first. */
  readonly #passing = new Map<string, number>();
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
  passes(key: string): boolean {
    const until = this.#passing.get(key);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#passing.delete(key);
    return false;
  }

  pass(key: string): void {
    this.#passing.delete(key);
    this.#passing.set(key, this.#now() + passMs);
    if (this.#passing.size <= maxPassing) return;
    const [oldest] = this.#passing.keys();
    if (oldest !== undefined) this.#passing.delete(oldest);
  }

  /** The key's call was worth it after all. */
  coalesceAgain(key: string): void {
    this.#passing.delete(key);
  }
}
