import type { Reading } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';

/** What became known of an answer when its last byte had passed; without a fault it is whole and well formed. */
export interface Answer extends Reading {
  /** 0 when it broke off before its head. */
  readonly status: number;
  /** The headers that are replayed. */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body in one piece, decoded; null where it was not kept or `fault` is set. */
  readonly body: Uint8Array | null;
  /** Why the reading stopped short of the end, so that there may be usage that was not seen; else null. */
  readonly cut: RefusalReason | null;
}

/** What the books take from an answer, stored or fresh. */
export type AnswerFacts = Pick<Answer, 'id' | 'model' | 'usage' | 'fault' | 'cut'>;

/** An answer on its way. */
export interface PendingAnswer {
  /** Null until the answer has ended or broken off. */
  readonly answer: Answer | null;
  /** Calls `then` once, when it has; now, where it has already. */
  whenRead(then: (answer: Answer) => void): void;
}
