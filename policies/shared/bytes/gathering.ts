import type { BodySink } from './body-sink.ts';
import type { RefusalReason } from '../reasons.ts';

/** Pieces from this size on are passed on by themselves. */
const minLargeBytes = 4096;
const maxGatheredBytes = 64 * 1024;

/**
 * Passes a body on to `sink` and joins small pieces that arrive in the same task, because an upstream
 * may send a byte at a time. `guard` runs the deferred steps and catches their exceptions.
 */
export class Gathering implements BodySink {
  readonly #sink: BodySink;
  readonly #guard: (step: () => void) => void;
  /** The first piece; if it stays alone, it is not copied. */
  #first: Uint8Array | null = null;
  #gathered: Uint8Array | null = null;
  #size = 0;
  #isScheduled = false;

  constructor(sink: BodySink, guard: (step: () => void) => void) {
    this.#sink = sink;
    this.#guard = guard;
  }

  get isDone(): boolean {
    return this.#sink.isDone;
  }

  chunk(bytes: Uint8Array): void {
    if (this.#size + bytes.length > maxGatheredBytes) this.#flush();
    if (bytes.length >= minLargeBytes && this.#size === 0) {
      this.#sink.chunk(bytes);
      return;
    }
    this.#add(bytes);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(this.#flushLater);
  }

  end(): void {
    this.#flush();
    this.#sink.end();
  }

  abort(reason: RefusalReason): void {
    this.#flush();
    this.#sink.abort(reason);
  }

  #add(bytes: Uint8Array): void {
    const before = this.#size;
    this.#size += bytes.length;
    if (before === 0) {
      this.#first = bytes;
      return;
    }
    if (this.#gathered === null || this.#gathered.length < this.#size) {
      const more = new Uint8Array(Math.max(1024, 2 * this.#size));
      more.set(this.#gathered?.subarray(0, before) ?? this.#first ?? []);
      this.#gathered = more;
    }
    this.#gathered.set(bytes, before);
  }

  readonly #flushLater = (): void => {
    this.#isScheduled = false;
    if (this.#size > 0) this.#guard(() => this.#flush());
  };

  #flush(): void {
    const size = this.#size;
    if (size === 0) return;
    const gathered = this.#gathered?.subarray(0, size) ?? this.#first;
    this.#first = null;
    this.#gathered = null;
    this.#size = 0;
    if (gathered !== null) this.#sink.chunk(gathered);
  }
}
