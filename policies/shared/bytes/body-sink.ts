import type { RefusalReason } from '../reasons.ts';

/** Receives a body as it comes. Its methods never throw and never wait. */
export interface BodySink {
  /** True once further bytes change nothing, so that they need not be decoded. */
  readonly isDone: boolean;
  chunk(bytes: Uint8Array): void;
  /** Called after the last byte. */
  end(): void;
  /** Called in place of `end` if the body will not be whole; `reason` says why. */
  abort(reason: RefusalReason): void;
}
