import type { Reading } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';

/** An answer after its last byte. It is whole and well formed if `fault` is null. */
export interface Answer extends Reading {
  /** 0 if the answer broke off before its head. */
  readonly status: number;
  /** The headers that are replayed. */
  readonly headers: Readonly<Record<string, string>>;
  /** The whole body in one piece, decoded; null if it was not kept or `fault` is set. */
  readonly body: Uint8Array | null;
  /** Why reading stopped before the end, so that usage may be missing; null if it did not. */
  readonly cut: RefusalReason | null;
}

/** The part of an answer that a usage record needs, whether the answer is stored or fresh. */
export type AnswerFacts = Pick<Answer, 'id' | 'model' | 'usage' | 'fault' | 'cut'>;

/** An answer that may still be arriving. */
export interface PendingAnswer {
  /** Null until the answer has ended or broken off. */
  readonly answer: Answer | null;
  /** Calls `then` once, when the answer has ended or broken off; immediately if it already has. */
  whenRead(then: (answer: Answer) => void): void;
}
