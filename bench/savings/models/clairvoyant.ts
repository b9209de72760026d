import type { Model } from './model.ts';

/**
 * What no store can exceed that knows all that is yet to be asked: of every answer from one request
 * for it to the next, those are kept that save the most for the bytes and the time, until all bytes
 * of all the time are spent (PFOO-U of Berger and others, "Practical Bounds on Optimal Caching with
 * Variable Object Sizes", 2018).
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
