import type { SlabReader } from '../shared/bytes/slabs.ts';

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

/** One reader of a stream under way, at its own pace. It holds nothing of its own. */
export class Follower {
  readonly #reader: SlabReader;
  readonly #maxBytes: number;
  readonly #left: () => void;
  #outlet: Outlet | null = null;
  #blocked = false;
  #ending: Ending | null = null;
  #done = false;
  /** It fell further behind than it may, and was ended for that. */
  tooSlow = false;

  constructor(reader: SlabReader, maxBytes: number, left: () => void) {
    this.#reader = reader;
    this.#maxBytes = maxBytes;
    this.#left = left;
  }

  /** Lets the bytes flow, those that have come so far at once. Throws what the outlet throws then. */
  attach(outlet: Outlet): void {
    this.#outlet = outlet;
    this.#pump();
  }

  /** More has come. */
  push(): void {
    if (this.#done || this.#ending !== null) return;
    this.#flow();
    // Who has not been let read yet is not slow.
    if (this.#outlet !== null && this.#reader.behind > this.#maxBytes) this.#breakOff();
  }

  /** There is no room for what it has not taken. */
  breakIfBehind(): void {
    if (!this.#done && this.#ending === null && this.#reader.behind > 0) this.#breakOff();
  }

  /** No more will come. */
  end(): void {
    this.#ending ??= 'end';
    this.#flow();
  }

  break(): void {
    this.#ending = 'break';
    this.#reader.close();
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
    this.#reader.close();
    this.#left();
  }

  #breakOff(): void {
    this.tooSlow = true;
    this.break();
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
