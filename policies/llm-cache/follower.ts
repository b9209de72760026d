/** Where a follower's bytes go: a response, or whatever stands for one. */
export interface Outlet {
  /** False when the next bytes shall wait for `Follower.resume`; nothing else asks to wait. */
  write(bytes: Uint8Array): boolean | void;
  end(): void;
  /** The answer broke off, and must not look whole. */
  break(): void;
  /** One of the others threw, later than in `attach`: the reader is gone, and must not take it for whole. */
  fail(error: unknown): void;
}

type Ending = 'end' | 'break';

/** One reader of a stream under way, at its own pace; what it has not taken yet waits by reference. */
export class Follower {
  readonly #queue: Uint8Array[];
  readonly #maxBytes: number;
  readonly #left: () => void;
  #queuedBytes: number;
  #outlet: Outlet | null = null;
  #blocked = false;
  #ending: Ending | null = null;
  #done = false;
  /** It fell further behind than it may, and was ended for that. */
  tooSlow = false;

  constructor(soFar: readonly Uint8Array[], maxBytes: number, left: () => void) {
    this.#queue = [...soFar];
    this.#queuedBytes = soFar.reduce((sum, bytes) => sum + bytes.length, 0);
    this.#maxBytes = maxBytes;
    this.#left = left;
  }

  /** Lets the bytes flow, those that have come so far at once. Throws what the outlet throws then. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#pump();
  }

  push(bytes: Uint8Array): void {
    if (this.#done || this.#ending !== null) return;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#flow();
    // Who has not been let read yet is not slow.
    if (this.#outlet === null || this.#queuedBytes <= this.#maxBytes) return;
    this.tooSlow = true;
    this.break();
    this.#left();
  }

  /** No more will come. */
  end(): void {
    this.#ending ??= 'end';
    this.#flow();
  }

  break(): void {
    this.#ending = 'break';
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#flow();
  }

  /** The outlet can take more. */
  resume(): void {
    this.#blocked = false;
    this.#flow();
  }

  /** The reader is gone. */
  leave(): void {
    this.#done = true;
    this.#queue.length = 0;
    this.#left();
  }

  /** A reader whose outlet throws is none of the others' business. */
  #flow(): void {
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
    let taken = 0;
    for (const bytes of this.#queue) {
      if (this.#blocked) break;
      taken++;
      this.#queuedBytes -= bytes.length;
      this.#blocked = outlet.write(bytes) === false;
    }
    this.#queue.splice(0, taken);
    if (this.#queue.length > 0 || this.#ending === null) return;
    this.#done = true;
    if (this.#ending === 'end') outlet.end();
    else outlet.break();
  }
}
