import type { RefusalReason } from '../reasons.ts';

/** Takes a body as it comes. None of its methods throws or waits. */
export interface BodySink {
  /** True once nothing that comes tells it more, so that it need not be decoded. */
  readonly isDone: boolean;
  chunk(bytes: Uint8Array): void;
  /** All of it has come. */
  end(): void;
  /** It will not: `reason` says why. */
  abort(reason: RefusalReason): void;
}
