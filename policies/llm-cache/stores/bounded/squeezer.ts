import { nextTurn } from '../../../shared/turns.ts';
import type { Facts } from './shadow.ts';

/** Makes bodies smaller. */
export interface Codec {
  /** Off the event loop. */
  compress(body: Uint8Array): Promise<Uint8Array>;
  /** What was compressed, to the byte. Throws where that cannot be had. */
  expand(bytes: Uint8Array): Uint8Array;
  /** How long the body is that was compressed. */
  lengthOf(bytes: Uint8Array): number;
}

/** An entry whose body is to be compressed. */
export interface Waiting {
  readonly body: Uint8Array;
  /** As they are before. */
  readonly facts: Facts;
  /** How often it was asked for, as the store counts it on. */
  asked: number;
}

export interface SqueezerParts {
  readonly codec: Codec;
  /** What all that wait may take, in bytes. */
  readonly maxBytes: number;
  /** The entry waits no more; `squeezed` is its body, null where that could not be made smaller. */
  readonly done: (entry: number, waiting: Waiting, squeezed: Uint8Array | null) => void;
}

/** Below, the coding itself would be most of it; above, a request would wait for too long. */
const [leastBytes, mostBytes] = [1024, 256 * 1024];
/** Less is not worth the time that reading takes. */
const worthwhile = 0.8;
const atOnce = 2;

/**
 * Compresses the bodies of new entries off the way of requests, a few at a time. Until then an
 * entry has no place in the order: how much it will take is not known.
 */
export class Squeezer {
  readonly #parts: SqueezerParts;
  readonly #waiting = new Map<number, Waiting>();
  readonly #started = new WeakSet<Waiting>();
  #bytes = 0;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(parts: SqueezerParts) {
    this.#parts = parts;
  }

  /** False where it is not worth the time, or there are too many. */
  add(entry: number, waiting: Waiting): boolean {
    const { length } = waiting.body;
    if (length < leastBytes || length > mostBytes) return false;
    if (this.#bytes + waiting.facts.bytes > this.#parts.maxBytes) return false;
    this.#waiting.set(entry, waiting);
    this.#bytes += waiting.facts.bytes;
    this.#run();
    return true;
  }

  find(entry: number): Waiting | undefined {
    return this.#waiting.get(entry);
  }

  /** The one that has waited longest; -1 where there is none. */
  oldest(): number {
    for (const entry of this.#waiting.keys()) return entry;
    return -1;
  }

  /** The entry goes; what is under way for it comes to nothing. */
  drop(entry: number): void {
    const waiting = this.#waiting.get(entry);
    if (waiting === undefined) return;
    this.#waiting.delete(entry);
    this.#bytes -= waiting.facts.bytes;
  }

  /** None waits any more; what is under way comes to nothing. */
  stop(): void {
    this.#waiting.clear();
    this.#bytes = 0;
  }

  /** Resolves when none waits. */
  settled(): Promise<void> {
    if (this.#running === 0 && this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #run(): void {
    if (this.#running >= atOnce) return;
    this.#running++;
    // It throws nothing; if it did, those that wait would wait on, and go when there is no room.
    this.#work().catch(() => {});
  }

  async #work(): Promise<void> {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const [entry, waiting] = next;
      this.#started.add(waiting);
      const squeezed = await this.#squeeze(waiting.body);
      // Meanwhile it may have gone, and another come in its place.
      if (this.#waiting.get(entry) !== waiting) continue;
      this.drop(entry);
      this.#parts.done(entry, waiting, squeezed);
    }
    this.#running--;
    if (this.#running > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #next(): readonly [number, Waiting] | null {
    for (const one of this.#waiting) if (!this.#started.has(one[1])) return one;
    return null;
  }

  async #squeeze(body: Uint8Array): Promise<Uint8Array | null> {
    try {
      // The answers of this moment go out first.
      await nextTurn();
      const squeezed = await this.#parts.codec.compress(body);
      return squeezed.length < body.length * worthwhile ? squeezed : null;
    } catch {
      return null;
    }
  }
}
