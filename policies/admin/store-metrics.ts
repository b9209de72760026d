import type { StoreStats } from '../llm-cache/stores/store.ts';

/**
 * A metric's name without prefix and suffix, its help text, and its reader; null if a store does
 * not count it.
 */
type StoreMetric = readonly [
  name: string,
  help: string,
  read: (stats: StoreStats) => number | null,
];

export const storeGauges: readonly StoreMetric[] = [
  ['entries', 'Entries in the store.', (one) => one.entries],
  ['store_bytes', 'Bytes that the entries take.', (one) => one.bytes],
  ['store_max_bytes', 'Bytes that the entries may take.', (one) => one.maxBytes],
  [
    'store_breaker_open',
    '1 while the store is known not to answer and is not asked.',
    (one) => (one.healthy ? 0 : 1),
  ],
  [
    'twice_memory_hits',
    'Estimate: how many more requests twice the memory would have answered since the start.',
    (one) => one.eviction?.twiceTheMemory?.hits ?? null,
  ],
  [
    'twice_memory_saved_usd',
    'Estimate: how much more twice the memory would have saved since the start, in USD.',
    (one) => one.eviction?.twiceTheMemory?.usd ?? null,
  ],
];

export const storeCounters: readonly StoreMetric[] = [
  ['evictions', 'Entries evicted to make room.', (one) => one.evictions],
  [
    'eviction_missed_hits',
    'Requests for evicted answers that would still be fresh, as far as the store remembers them.',
    (one) => one.eviction?.missedHits ?? null,
  ],
  [
    'eviction_missed_usd',
    'What hits in place of those requests would have saved, in USD.',
    (one) => one.eviction?.missedUsd ?? null,
  ],
  ['store_errors', 'Failures of the store.', (one) => one.errors],
  ['dropped_writes', 'Entries that were not written.', (one) => one.droppedWrites],
];
