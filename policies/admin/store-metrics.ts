import type { StoreStats } from '../llm-cache/stores/store.ts';

/** A name without its beginning and ending, what it says, and where it is read; null where a store does not count it. */
type StoreMetric = readonly [
  name: string,
  help: string,
  read: (stats: StoreStats) => number | null,
];

export const storeGauges: readonly StoreMetric[] = [
  ['entries', 'Entries in the store.', (one) => one.entries],
  ['store_bytes', 'What the entries take.', (one) => one.bytes],
  ['store_max_bytes', 'What they may take.', (one) => one.maxBytes],
  [
    'store_breaker_open',
    '1 while the store is known not to answer, and is not asked.',
    (one) => (one.healthy ? 0 : 1),
  ],
  [
    'twice_memory_hits',
    'Estimate: requests since the start that twice the memory would have answered beyond those that were.',
    (one) => one.eviction?.twiceTheMemory?.hits ?? null,
  ],
  [
    'twice_memory_saved_usd',
    'Estimate: what twice the memory would have saved since the start beyond what was saved, in USD.',
    (one) => one.eviction?.twiceTheMemory?.usd ?? null,
  ],
];

export const storeCounters: readonly StoreMetric[] = [
  ['evictions', 'Entries thrown out to make room.', (one) => one.evictions],
  [
    'eviction_missed_hits',
    'Requests for what had been thrown out to make room and would still be fresh, as far as that is remembered.',
    (one) => one.eviction?.missedHits ?? null,
  ],
  [
    'eviction_missed_usd',
    'What those requests would have saved, in USD.',
    (one) => one.eviction?.missedUsd ?? null,
  ],
  ['store_errors', 'Times that the store failed.', (one) => one.errors],
  ['dropped_writes', 'Entries that did not get in.', (one) => one.droppedWrites],
];
