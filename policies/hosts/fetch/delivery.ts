import type { AnswerWatch } from '../../shared/answer-watch.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { WebExchange } from './exchange.ts';
import type { Tally } from '../../llm-cache/stats.ts';
import type { EntryStore } from '../../llm-cache/stores/store.ts';

/** What a decision is carried out with. */
export interface Delivery {
  readonly exchange: WebExchange;
  readonly tally: Tally;
  /** How far one slow reader may be behind, in bytes. */
  readonly maxBehind: number;
  readonly store: EntryStore;
  readonly faults: FaultLog;
  readonly now: () => number;
  /** Reads an answer that no flight reads; null where nobody wants to know it. */
  readonly watch: AnswerWatch | null;
  /** The handler; may throw. */
  handle(request: Request): Promise<Response>;
}
