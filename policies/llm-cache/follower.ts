import type { SlabReader } from '../shared/bytes/slabs.ts';

/** Receives a follower's bytes: a response, or the host's equivalent. */
export interface Outlet {
  /** Returns false, and nothing else, to pause until `Follower.resume`. */
  write(bytes: Uint8Array): boolean | void;
  end(): void;
  /** Ends the response so that the client sees it as truncated: the answer broke off. */
  break(): void;
  /**
   * Called after another method threw, except during `attach`. The response must not look complete.
   */
  fail(error: unknown): void;
}

type Ending = 'end' | 'break';

/** One reader of a stream under way, at its own pace. It copies no bytes: readers share the slabs. */
export class Follower {
  readonly #reader: SlabReader;
  readonly #maxBytes: number;
  readonly #onLeave: () => void;
  #outlet: Outlet | null = null;
  #blocked = false;
  #ending: Ending | null = null;
  #done = false;
  /** Whether the follower was ended because it lagged too far behind. */
  tooSlow = false;

  constructor(reader: SlabReader, maxBytes: number, onLeave: () => void) {
    this.#reader = reader;
    this.#maxBytes = maxBytes;
    this.#onLeave = onLeave;
  }

  /** Starts the flow, at once for the bytes that have arrived. Throws what the outlet throws meanwhile. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#pump();
  }

  /** Notes that more bytes have arrived. */
  push(): void {
    if (this.#done || this.#ending !== null) return;
    this.#tryPump();
    // A reader that is not attached yet cannot be slow.
    if (this.#outlet !== null && this.#reader.behind > this.#maxBytes) this.#breakOff();
  }

  /** Breaks off a follower that lags: the byte budget has no room for its unread bytes. */
  breakIfBehind(): void {
    if (!this.#done && this.#ending === null && this.#reader.behind > 0) this.#breakOff();
  }

  /** Notes that the answer is complete. */
  end(): void {
    this.#ending ??= 'end';
    this.#tryPump();
  }

  /** Notes that the answer broke off. */
  break(): void {
    this.#ending = 'break';
    this.#reader.close();
    this.#tryPump();
  }

  /** Continues after `write` returned false. */
  resume(): void {
    this.#blocked = false;
    this.#tryPump();
  }

  /** Stops: the client has left. */
  leave(): void {
    this.#done = true;
    this.#reader.close();
    this.#onLeave();
  }

  #breakOff(): void {
    this.tooSlow = true;
    this.break();
    this.#onLeave();
  }

  /** Pumps, and ends this follower alone if its outlet throws. */
  #tryPump(): void {
    try {
      this.#pump();
    } catch (error) {
      this.leave();
      this.#outlet?.fail(error);
    }
  }

  #pump(): void {
    const outlet = this.#outlet;
    if (outlet === null || this.#done) return;
    while (!this.#blocked) {
      const bytes = this.#reader.next();
      if (bytes === null) break;
      this.#blocked = outlet.write(bytes) === false;
    }
    if (this.#reader.behind > 0 || this.#ending === null) return;
    this.#done = true;
    this.#reader.close();
    if (this.#ending === 'end') outlet.end();
    else outlet.break();
  }
}
