import type { Ask } from '../trace.ts';

/** Returns what a policy saves on a trace with `maxBytes` of memory, in USD; `bytesOf` sizes an answer. */
export type Model = (
  asks: readonly Ask[],
  maxBytes: number,
  bytesOf: (ask: Ask) => number,
) => number;

/** Returns the key and size of the oldest element. Throws if the queue is empty. */
export function firstOf(queue: ReadonlyMap<string, number>): readonly [string, number] {
  for (const one of queue) return one;
  throw new Error('the queue is empty');
}

/** Returns the savings with unlimited memory, in USD. */
export function possible(asks: readonly Ask[]): number {
  const known = new Set<string>();
  let saved = 0;
  for (const { key, cost } of asks) {
    if (known.has(key)) saved += cost;
    known.add(key);
  }
  return saved;
}
