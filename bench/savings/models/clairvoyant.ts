import type { Model } from './model.ts';

/**
 * An upper bound, even for a store that knows all future requests. It considers every interval
 * between two requests for the same answer, and retains those that save the most per byte and time,
 * until the memory of the whole trace is used up (PFOO-U of Berger and others, "Practical Bounds on
 * Optimal Caching with Variable Object Sizes", 2018).
 */
export const clairvoyant: Model = (asks, maxBytes, bytesOf) => {
  const last = new Map<string, number>();
  const spans: { readonly room: number; readonly cost: number }[] = [];
  for (const [at, ask] of asks.entries()) {
    const before = last.get(ask.key);
    last.set(ask.key, at);
    if (before === undefined) continue;
    spans.push({ room: (at - before) * bytesOf(ask), cost: ask.cost });
  }
  let left = maxBytes * asks.length;
  let saved = 0;
  for (const { room, cost } of spans.toSorted((a, b) => b.cost / b.room - a.cost / a.room)) {
    saved += cost * Math.min(1, left / room);
    left -= room;
    if (left <= 0) break;
  }
  return saved;
};
