import { nextTurn } from '../../../shared/turns.ts';
import type { Facts } from './shadow.ts';

/** Compresses and expands bodies. */
export interface Codec {
  /** Compresses a body, off the event loop if it is long. */
  compress(body: Uint8Array): Promise<Uint8Array>;
  /** Returns exactly the body that was compressed. Throws if the bytes are damaged. */
  expand(bytes: Uint8Array): Uint8Array;
  /** Returns the length of the uncompressed body, without expanding it. */
  lengthOf(bytes: Uint8Array): number;
}

/** An entry that waits to be compressed. */
export interface Waiting {
  readonly body: Uint8Array;
  /** Before the compression. */
  readonly facts: Facts;
  /** Its request count. The store increments it on each hit. */
  asked: number;
}

export interface CompressionQueueParts {
  readonly codec: Codec;
  /** The bound on all waiting entries together, in bytes. */
  readonly maxBytes: number;
  /** Called when an entry has been tried. `compressed` is null if its body did not shrink enough. */
  readonly done: (entry: number, waiting: Waiting, compressed: Uint8Array | null) => void;
}

/** Shorter bodies gain nothing over gzip's own overhead. */
export const minCompressedBytes = 1024;
/** Longer bodies would take a hit too long to expand. */
const maxBytes = 256 * 1024;
/** A body must shrink to this share, or it is not worth the time to expand it. */
const worthwhileRatio = 0.8;
const concurrency = 2;

/** Whether a body is to be kept compressed. */
export function isWorthwhile(compressed: Uint8Array, body: Uint8Array): boolean {
  return compressed.length < body.length * worthwhileRatio;
}

/**
 * Compresses the bodies of new entries in the background, a few at a time. Meanwhile the entries
 * have no place in the eviction order, because their final size is unknown.
 */
export class CompressionQueue {
  readonly #parts: CompressionQueueParts;
  readonly #waiting = new Map<number, Waiting>();
  readonly #started = new WeakSet<Waiting>();
  #bytes = 0;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(parts: CompressionQueueParts) {
    this.#parts = parts;
  }

  /** Queues an entry. Returns false if its size is unsuitable or the queue is full. */
  add(entry: number, waiting: Waiting): boolean {
    const { length } = waiting.body;
    if (length < minCompressedBytes || length > maxBytes) return false;
    if (this.#bytes + waiting.facts.bytes > this.#parts.maxBytes) return false;
    this.#waiting.set(entry, waiting);
    this.#bytes += waiting.facts.bytes;
    this.#run();
    return true;
  }

  find(entry: number): Waiting | undefined {
    return this.#waiting.get(entry);
  }

  /** Returns the entry that has waited longest, or -1 if the queue is empty. */
  oldest(): number {
    for (const entry of this.#waiting.keys()) return entry;
    return -1;
  }

  /** Removes an entry. The result of a compression under way for it is discarded. */
  drop(entry: number): void {
    const waiting = this.#waiting.get(entry);
    if (waiting === undefined) return;
    this.#waiting.delete(entry);
    this.#bytes -= waiting.facts.bytes;
  }

  /** Empties the queue. The results of compressions under way are discarded. */
  stop(): void {
    this.#waiting.clear();
    this.#bytes = 0;
  }

  /** Resolves when the queue is empty. */
  settled(): Promise<void> {
    if (this.#running === 0 && this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #run(): void {
    if (this.#running >= concurrency) return;
    this.#running++;
    // #work should not throw. If it did, the entries would stay queued until they are evicted.
    this.#work().catch(() => {});
  }

  async #work(): Promise<void> {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const [entry, waiting] = next;
      this.#started.add(waiting);
      const compressed = await this.#compress(waiting.body);
      // Meanwhile the entry may have been dropped, and its slot reused.
      if (this.#waiting.get(entry) !== waiting) continue;
      this.drop(entry);
      this.#parts.done(entry, waiting, compressed);
    }
    this.#running--;
    if (this.#running > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #next(): readonly [number, Waiting] | null {
    for (const queued of this.#waiting) if (!this.#started.has(queued[1])) return queued;
    return null;
  }

  async #compress(body: Uint8Array): Promise<Uint8Array | null> {
    try {
      // Let pending responses go out first.
      await nextTurn();
      const compressed = await this.#parts.codec.compress(body);
      return isWorthwhile(compressed, body) ? compressed : null;
    } catch {
      return null;
    }
  }
}
