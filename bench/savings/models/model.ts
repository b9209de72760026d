import type { Ask } from '../trace.ts';

/** What a policy saves of a trace, in USD, with so much memory; `bytesOf` is what an answer takes of it. */
export type Model = (
  asks: readonly Ask[],
  maxBytes: number,
  bytesOf: (ask: Ask) => number,
) => number;

/** The key and the bytes of what came into a queue first. */
export function firstOf(queue: ReadonlyMap<string, number>): readonly [string, number] {
  for (const one of queue) return one;
  throw new Error('the queue is empty');
}

/** What could be saved with room for everything. */
export function possible(asks: readonly Ask[]): number {
  const known = new Set<string>();
  let saved = 0;
  for (const { key, cost } of asks) {
    if (known.has(key)) saved += cost;
    known.add(key);
  }
  return saved;
}
