import { type FrameSeal, maxFrameBytes } from './relay-frame.ts';
import type { RelayFollowing, RelayReader } from './relay.ts';
import type { RelayTiming } from './relay-timing.ts';

/** What Redis has of a call at the moment. */
export interface CallView {
  /** The token of the followed call, or null if there is none. */
  readonly token: string | null;
  /** The token of the call that holds the lease, or null if none does. */
  readonly holder: string | null;
  /** The frames from the requested number on, or null if no gateway can have published them. */
  readonly frames: readonly SeenFrame[] | null;
}

export interface SeenFrame {
  /** The id of the stream's entry in Redis. */
  readonly id: string;
  readonly kind: string;
  readonly sealed: Buffer;
}

export interface FollowerParts {
  /** Reads the frames from `number` on of the call with the token, or else of the call that holds the lease. Rejects if Redis fails. */
  look(token: string | null, number: number): Promise<CallView>;
  /** Returns the seal that opens the frames of the call with the token. */
  sealOf(token: string): FrameSeal;
  readonly reader: RelayReader;
  readonly timing: RelayTiming;
  /** Called once, when the follower stops. */
  ended(follower: RelayFollower): void;
}

/** An older stream is not joined, because it may be a replay of old frames. Depends on the gateways' clocks. */
const maxCallMs = 3_600_000;

/** How many frames one read returns at most. */
export const maxFramesAtOnce = Math.ceil((4 * 1024 * 1024) / maxFrameBytes);

/**
 * Follows a call that another gateway makes. It accepts only authentic frames, in order. Any other
 * frame fails the reader, and so does a long silence.
 */
export class RelayFollower implements RelayFollowing {
  readonly #parts: FollowerParts;
  #token: string | null = null;
  #seal: FrameSeal | null = null;
  /** The number of the next frame. */
  #number = 1;
  #isStream = false;
  #hasBytes = false;
  /** When the call was last known to be alive. */
  #aliveAt = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#poll();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#parts.ended(this);
  }

  /** Stops, and tells the reader that nothing more will come. */
  fail(): void {
    if (this.#isStopped) return;
    this.stop();
    this.#parts.reader.fail();
  }

  #poll(): void {
    // A malformed reply is not from a gateway either.
    this.#step().catch(() => this.fail());
  }

  async #step(): Promise<void> {
    const { look, timing } = this.#parts;
    let view: CallView;
    try {
      view = await look(this.#token, this.#number);
    } catch {
      // A reader without bytes can still make its own call, so it gives up sooner. Others can only wait.
      const limitMs = this.#hasBytes ? timing.patienceMs : timing.waitingMs;
      return this.#waitOrFail(limitMs, timing.retryMs);
    }
    if (this.#isStopped) return;
    if (view.token === null || view.frames === null) return this.fail();
    if (this.#token === null) {
      this.#token = view.token;
      this.#seal = this.#parts.sealOf(view.token);
    }
    for (const frame of view.frames) {
      if (!this.#take(frame)) return this.fail();
      if (this.#isStopped) return;
    }
    if (view.frames.length > 0 || view.holder === this.#token) {
      this.#aliveAt = performance.now();
      return this.#schedule(view.frames.length < maxFramesAtOnce ? timing.pollMs : 0);
    }
    // Another gateway has the lease and calls anew, so this call publishes no more.
    if (view.holder !== null) return this.fail();
    this.#waitOrFail(timing.leaderlessMs, timing.pollMs);
  }

  #waitOrFail(limitMs: number, delayMs: number): void {
    if (performance.now() - this.#aliveAt > limitMs) this.fail();
    else this.#schedule(delayMs);
  }

  #schedule(ms: number): void {
    if (!this.#isStopped) this.#timer = setTimeout(() => this.#poll(), ms);
  }

  /** Returns false if the frame is not the expected one. */
  #take({ id, kind, sealed }: SeenFrame): boolean {
    const number = this.#number++;
    const frame = id === `${number}-0` ? this.#seal?.open(number, kind, sealed) : undefined;
    if (frame === undefined) return false;
    const { reader } = this.#parts;
    switch (frame.kind) {
      case 'head':
        if (this.#isStream || Math.abs(Date.now() - frame.head.startedAt) > maxCallMs) return false;
        this.#isStream = true;
        reader.head(frame.head.headers);
        return true;
      case 'bytes':
        if (!this.#isStream) return false;
        this.#hasBytes = true;
        reader.chunk(frame.bytes);
        return true;
      case 'end':
        if (frame.outcome.kind === 'failed') return false;
        this.stop();
        reader.end(frame.outcome);
        return true;
    }
  }
}
