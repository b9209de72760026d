import type { ByteBudget } from '../../shared/bytes/budget.ts';
import { type Frame, type FrameSeal, maxFrameBytes, type StreamHead } from './relay-frame.ts';
import type { CallOutcome, Lease } from './relay.ts';
import type { RelayTiming } from './relay-timing.ts';
import { StreamBuffer } from './stream-buffer.ts';

/** A sealed frame to publish. */
export interface SealedFrame {
  /** 1 for the first. */
  readonly number: number;
  readonly kind: string;
  readonly sealed: Buffer;
  /** How many of the newest frames stay readable, including this one. */
  readonly keep: number;
}

export interface PublisherParts {
  /**
   * Publishes a frame, or with null only renews the lease. Idempotent for each frame. Resolves to
   * false if another gateway holds the lease, and rejects if Redis fails.
   */
  publish(frame: SealedFrame | null, isLast: boolean): Promise<boolean>;
  readonly seal: FrameSeal;
  /** Charged for the waiting bytes. */
  readonly budget: ByteBudget;
  readonly timing: RelayTiming;
  /** Called once, when the publisher closes. */
  ended(publisher: RelayPublisher): void;
}

/** The bound on the bytes waiting to be published. Beyond it, the publisher closes and the followers are on their own. */
const maxWaitingBytes = 4 * 1024 * 1024;
/** At least this many bytes of a stream stay readable for gateways that join late, and at most about twice as many. */
const maxReadableBytes = 8 * 1024 * 1024;
/** Roughly what a frame takes in Redis in addition to its bytes. */
const frameOverhead = 150;

/** Publishes a call to other gateways, frame by frame. It retries each frame until Redis has it, for as long as followers may wait. */
export class RelayPublisher implements Lease {
  readonly #parts: PublisherParts;
  readonly #renewal: NodeJS.Timeout;
  readonly #startedAt = Date.now();
  readonly #waiting = new StreamBuffer(maxFrameBytes);
  #head: StreamHead | null = null;
  #outcome: CallOutcome | null = null;
  #flushTimer: NodeJS.Timeout | null = null;
  #isDue = false;
  #number = 0;
  /** The numbers of readable frames, in two halves. The older half is dropped when the newer is full. */
  #older = 0;
  #newer = 0;
  #newerBytes = 0;
  #isSending = false;
  #sent: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#renewal = setInterval(() => void this.#renew(), parts.timing.renewMs).unref();
  }

  head(headers: Readonly<Record<string, string>>): void {
    this.#head = { headers, startedAt: this.#startedAt };
    this.#send();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const isTooMuch = this.#waiting.length + bytes.length > maxWaitingBytes;
    if (isTooMuch || !this.#parts.budget.take(bytes.length)) return this.close();
    this.#waiting.push(bytes);
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = null;
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

  /** Stops publishing. The lease expires, unless it was released. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#renewal);
    if (this.#flushTimer !== null) clearTimeout(this.#flushTimer);
    this.#parts.budget.give(this.#waiting.length);
    this.#waiting.clear();
    this.#parts.ended(this);
  }

  #send(): void {
    if (!this.#isSending) this.#sent = this.#sendAll();
  }

  /** Sends all frames that are ready, one at a time. */
  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let frame = this.#next(); frame !== null && !this.#isClosed; frame = this.#next()) {
      const arrived = await this.#publishFrame(this.#sealNext(frame), frame.kind === 'end');
      if (!arrived) this.close();
    }
    this.#isSending = false;
  }

  /** The next frame, or null if there is none or more bytes should be buffered first. */
  #next(): Frame | null {
    if (this.#isClosed) return null;
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

  #sealNext(frame: Frame): SealedFrame {
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

  /** Retries until Redis has the frame, or no follower can be waiting for it any more. */
  async #publishFrame(frame: SealedFrame, isLast: boolean): Promise<boolean> {
    const { publish, timing } = this.#parts;
    const until = performance.now() + timing.patienceMs;
    while (!this.#isClosed) {
      try {
        return await publish(frame, isLast);
      } catch {
        // The connection has logged the error.
        if (performance.now() > until) return false;
        await new Promise((resolve) => setTimeout(resolve, timing.retryMs));
      }
    }
    return false;
  }

  async #renew(): Promise<void> {
    // Publishing a frame renews the lease too.
    if (this.#isSending) return;
    try {
      if (!(await this.#parts.publish(null, false))) this.close();
    } catch {
      // The next renewal may succeed.
    }
  }
}
