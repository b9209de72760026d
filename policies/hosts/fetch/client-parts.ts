import type { Counts } from '../../llm-cache/stats.ts';
import type { AnswerReader } from '../../shared/answer-reader.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { WebExchange } from './exchange.ts';

/** What a client of a fetch handler is answered with. */
export interface WebClientParts {
  readonly exchange: WebExchange;
  readonly tally: Counts;
  readonly faults: FaultLog;
  /** How far a slow reader of a shared stream may be behind, in bytes. */
  readonly maxBehind: number;
  /** Reads an answer that no flight reads; null where there are no books. */
  readonly unshared: AnswerReader | null;
  /** The handler; may throw. */
  handle(request: Request): Promise<Response>;
}
