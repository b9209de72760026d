import type { ByteBudget } from './budget.ts';
import type { Protocol, Reading } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';

/** What became known of an answer's body when its last byte had passed. */
export interface Answer extends Omit<Reading, 'fault'> {
  /** The first thing found wrong with it; null for a whole, well-formed answer. */
  readonly fault: RefusalReason | null;
  /** The whole body in one piece, decoded; null where it was not kept or `fault` is set. */
  readonly body: Uint8Array | null;
}

export interface AnswerReaderOptions {
  readonly protocol: Protocol;
  /** The `Content-Type` of the answer, as it came; decides between JSON and SSE. */
  readonly contentType: string;
  /** Keep a stream's bytes as well; a JSON body is always kept, for its reading. */
  readonly keep: boolean;
  /** The most bytes to hold. */
  readonly maxBytes: number;
  /** Where the bytes held are accounted. */
  readonly budget: ByteBudget;
}
