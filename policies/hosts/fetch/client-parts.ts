import type { Counts } from '../../llm-cache/stats.ts';
import type { AnswerReader } from '../../shared/answer-reader.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { WebExchange } from './exchange.ts';

/** What a WebClient needs to answer its client. */
export interface WebClientParts {
  readonly exchange: WebExchange;
  readonly tally: Counts;
  readonly faults: FaultLog;
  /** How far a slow reader of a shared stream may fall behind, in bytes. */
  readonly maxBehind: number;
  /** Reads an answer that no flight reads; null if there are no usage records. */
  readonly unshared: AnswerReader | null;
  /** Calls the handler. Rejects with what it throws. */
  handle(request: Request): Promise<Response>;
}
