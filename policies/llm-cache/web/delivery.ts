import type { FaultLog } from '../../shared/faults.ts';
import type { ResponseObserver } from '../../shared/exchange.ts';
import type { WebExchange } from '../../shared/web/exchange.ts';
import type { Tally } from '../stats.ts';
import type { EntryStore } from '../stores/store.ts';

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
  readonly watch: ResponseObserver | null;
  /** The handler; may throw. */
  handle(request: Request): Promise<Response>;
  /** The handler has answered with that status. */
  answered(status: number): void;
  /** The client's response has that status. */
  sent(status: number): void;
  /** The client has all that it will get. May be said more than once. */
  delivered(): void;
}
