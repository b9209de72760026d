import { type FrameSeal, maxFrameBytes } from './relay-frame.ts';
import type { RelayFollowing, RelayReader } from './relay.ts';
import type { RelayTiming } from './relay-timing.ts';

/** What stands in Redis of a call at the moment. */
export interface CallView {
  /** Of the call that is followed; null where there is none. */
  readonly token: string | null;
  /** Of the call that has the lease; null where none has it. */
  readonly holder: string | null;
  /** The frames from the number on that was asked for; null where they are none that a gateway publishes. */
  readonly frames: readonly SeenFrame[] | null;
}

export interface SeenFrame {
  /** As Redis has it. */
  readonly id: string;
  readonly kind: string;
  readonly sealed: Buffer;
}

export interface FollowerParts {
  /** Looks for the frames from `number` on, of the call with that token, or of the one that has the lease. Rejects where Redis does not say. */
  look(token: string | null, number: number): Promise<CallView>;
  /** Opens the frames of the call with that token. */
  sealOf(token: string): FrameSeal;
  readonly reader: RelayReader;
  readonly timing: RelayTiming;
  /** Called once, when nothing is read any more. */
  ended(follower: RelayFollower): void;
}

/** A stream that began earlier is not joined: it may be a replay of old frames. As exact as the gateways' clocks. */
const maxCallMs = 3_600_000;

/** Frames that are read at once. */
export const maxFramesAtOnce = Math.ceil((4 * 1024 * 1024) / maxFrameBytes);

/**
 * Reads along with a call that another gateway makes. Takes frames in their order alone, each
 * where it belongs; whatever else it finds fails the reader, and so does a silence that lasts.
 */
export class RelayFollower implements RelayFollowing {
  readonly #parts: FollowerParts;
  #token: string | null = null;
  #seal: FrameSeal | null = null;
  /** Of the frame that is expected. */
  #number = 1;
  #isStream = false;
  #hasBytes = false;
  /** When the call was last known to be alive. */
  #aliveAt = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#begin();
  }

  stop(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#parts.ended(this);
  }

  /** Stops, and tells the reader that nothing more will come. */
  fail(): void {
    if (this.#over) return;
    this.stop();
    this.#parts.reader.fail();
  }

  #begin(): void {
    // What is no view at all is not what a gateway has published either.
    this.#step().catch(() => this.fail());
  }

  async #step(): Promise<void> {
    const { look, timing } = this.#parts;
    let view: CallView;
    try {
      view = await look(this.#token, this.#number);
    } catch {
      // Who has seen no byte makes a call of its own before long; for the others there is nothing better.
      const mostMs = this.#hasBytes ? timing.patienceMs : timing.waitingMs;
      return this.#silent(mostMs, timing.retryMs);
    }
    if (this.#over) return;
    if (view.token === null || view.frames === null) return this.fail();
    if (this.#token === null) {
      this.#token = view.token;
      this.#seal = this.#parts.sealOf(view.token);
    }
    for (const frame of view.frames) {
      if (!this.#take(frame)) return this.fail();
      if (this.#over) return;
    }
    if (view.frames.length > 0 || view.holder === this.#token) {
      this.#aliveAt = performance.now();
      return this.#again(view.frames.length < maxFramesAtOnce ? timing.pollMs : 0);
    }
    // Another gateway makes the call anew: nothing more of this one is published.
    if (view.holder !== null) return this.fail();
    this.#silent(timing.leaderlessMs, timing.pollMs);
  }

  #silent(mostMs: number, againMs: number): void {
    if (performance.now() - this.#aliveAt > mostMs) this.fail();
    else this.#again(againMs);
  }

  #again(ms: number): void {
    if (!this.#over) this.#timer = setTimeout(() => this.#begin(), ms);
  }

  /** False where it is not the frame that comes next. */
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
