import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Exchange } from '../shared/exchange.ts';
import type { Counts } from './stats.ts';
import type { EntryStore } from './stores/store.ts';
import type { Timings } from './timings.ts';

/** What `deliver` needs to carry out a decision. */
export interface Delivery {
  readonly exchange: Exchange;
  readonly tally: Counts;
  readonly settings: Pick<LlmCacheSettings, 'compressHits' | 'debugHeaders' | 'statusHeader'>;
  readonly store: Pick<EntryStore, 'used'>;
  readonly timings: Timings;
  /** When the request arrived, by `performance.now()`. */
  readonly startedAt: number;
  readonly now: () => number;
}
