import type { ByteBudget } from '../../shared/bytes/budget.ts';
import { type Frame, type FrameSeal, maxFrameBytes, type StreamHead } from './relay-frame.ts';
import type { CallOutcome, Lease } from './relay.ts';
import type { RelayTiming } from './relay-timing.ts';
import { StreamBuffer } from './stream-buffer.ts';

/** A frame on its way. */
export interface SealedFrame {
  /** 1 for the first. */
  readonly number: number;
  readonly kind: string;
  readonly sealed: Buffer;
  /** How many of the newest frames, with this one, stay readable. */
  readonly keep: number;
}

export interface PublisherParts {
  /** Publishes a frame, once however often it is called, or only renews the lease. False where the lease is another's; rejects where Redis does not say. */
  publish(frame: SealedFrame | null, isLast: boolean): Promise<boolean>;
  readonly seal: FrameSeal;
  /** Where the bytes that wait are charged. */
  readonly budget: ByteBudget;
  readonly timing: RelayTiming;
  /** Called once, when nothing is published any more. */
  ended(publisher: RelayPublisher): void;
}

/** Bytes that may wait to be published; past them the others are left to themselves. */
const maxWaitingBytes = 4 * 1024 * 1024;
/** Bytes of a stream that stay readable for who joins late, at least; twice as many at most. */
const maxReadableBytes = 8 * 1024 * 1024;
/** What a frame takes in Redis beside its bytes, roughly. */
const frameOverhead = 150;

/** Tells other gateways of a call, frame by frame: each is tried again until it has arrived, or too much waits. */
export class RelayPublisher implements Lease {
  readonly #parts: PublisherParts;
  readonly #renewal: NodeJS.Timeout;
  readonly #startedAt = Date.now();
  readonly #waiting = new StreamBuffer(maxFrameBytes);
  #head: StreamHead | null = null;
  #outcome: CallOutcome | null = null;
  #gathering: NodeJS.Timeout | null = null;
  #isDue = false;
  #number = 0;
  /** Frames that stay readable, in two halves: the older goes when the newer is full. */
  #older = 0;
  #newer = 0;
  #newerBytes = 0;
  #isSending = false;
  #sent: Promise<void> = Promise.resolve();
  #over = false;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#renewal = setInterval(() => void this.#renew(), parts.timing.renewMs).unref();
  }

  head(headers: Readonly<Record<string, string>>): void {
    this.#head = { headers, startedAt: this.#startedAt };
    this.#send();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#over) return;
    const isTooMuch = this.#waiting.length + bytes.length > maxWaitingBytes;
    if (isTooMuch || !this.#parts.budget.take(bytes.length)) return this.close();
    this.#waiting.push(bytes);
    this.#gathering ??= setTimeout(() => {
      this.#gathering = null;
      this.#isDue = true;
      this.#send();
    }, this.#parts.timing.gatherMs);
    if (this.#waiting.length >= maxFrameBytes) this.#send();
  }

  async end(outcome: CallOutcome): Promise<void> {
    this.#outcome ??= outcome;
    this.#send();
    await this.#sent;
    this.close();
  }

  /** Publishes nothing any more. The lease lapses, where it was not given up. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#renewal);
    if (this.#gathering !== null) clearTimeout(this.#gathering);
    this.#parts.budget.give(this.#waiting.length);
    this.#waiting.clear();
    this.#parts.ended(this);
  }

  #send(): void {
    if (!this.#isSending) this.#sent = this.#sendAll();
  }

  /** One after the other. */
  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let frame = this.#next(); frame !== null && !this.#over; frame = this.#next()) {
      const arrived = await this.#arrived(this.#sealed(frame), frame.kind === 'end');
      if (!arrived) this.close();
    }
    this.#isSending = false;
  }

  /** What is to be told next; null as long as more may be gathered. */
  #next(): Frame | null {
    if (this.#over) return null;
    const head = this.#head;
    if (head !== null) {
      this.#head = null;
      return { kind: 'head', head };
    }
    const { length } = this.#waiting;
    if (length > 0 && (this.#isDue || length >= maxFrameBytes || this.#outcome !== null)) {
      const bytes = this.#waiting.take();
      this.#isDue &&= this.#waiting.length > 0;
      this.#parts.budget.give(bytes.length);
      return { kind: 'bytes', bytes };
    }
    const outcome = this.#outcome;
    this.#outcome = null;
    return outcome && { kind: 'end', outcome };
  }

  #sealed(frame: Frame): SealedFrame {
    const number = ++this.#number;
    const sealed = this.#parts.seal.close(number, frame);
    if (this.#newerBytes > maxReadableBytes) {
      this.#older = this.#newer;
      this.#newer = 0;
      this.#newerBytes = 0;
    }
    this.#newer++;
    this.#newerBytes += sealed.length + frameOverhead;
    return { number, kind: frame.kind, sealed, keep: this.#older + this.#newer };
  }

  /** Tries until Redis has the frame, or no reader can be waiting for it any more. */
  async #arrived(frame: SealedFrame, isLast: boolean): Promise<boolean> {
    const { publish, timing } = this.#parts;
    const until = performance.now() + timing.patienceMs;
    while (!this.#over) {
      try {
        return await publish(frame, isLast);
      } catch {
        // The connection has said what is wrong.
        if (performance.now() > until) return false;
        await new Promise((resolve) => setTimeout(resolve, timing.retryMs));
      }
    }
    return false;
  }

  async #renew(): Promise<void> {
    // A frame on its way renews it as well.
    if (this.#isSending) return;
    try {
      if (!(await this.#parts.publish(null, false))) this.close();
    } catch {
      // The next time it may answer.
    }
  }
}
