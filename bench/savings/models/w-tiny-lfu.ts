import type { Ask } from '../trace.ts';
import { firstOf, type Model } from './model.ts';

const windowShare = 0.01;
const protectedShare = 0.8;
/** All counts are halved after this many requests per entry. */
const sampleFactor = 10;

/** Einziger and others, "TinyLFU: A Highly Efficient Cache Admission Policy" (2017), in bytes, with exact counts. */
export const wTinyLfu: Model = tinyLfu((count) => count);

/** W-TinyLFU that ranks entries by savings per byte. */
export const wTinyLfuByWorth: Model = tinyLfu((count, { cost }, bytes) => (count * cost) / bytes);

function tinyLfu(rank: (count: number, ask: Ask, bytes: number) => number): Model {
  return (asks, maxBytes, bytesOf) => {
    const [window, probation, kept] = [1, 2, 3].map(() => new Map<string, number>()) as [
      Map<string, number>,
      Map<string, number>,
      Map<string, number>,
    ];
    const used = new Map([window, probation, kept].map((queue) => [queue, 0]));
    const counts = new Map<string, number>();
    const asked = new Map<string, Ask>();
    let [counted, saved] = [0, 0];

    const put = (queue: Map<string, number>, key: string, bytes: number) => {
      queue.set(key, bytes);
      used.set(queue, (used.get(queue) ?? 0) + bytes);
    };
    const take = (queue: Map<string, number>, key: string): number => {
      const bytes = queue.get(key) ?? 0;
      queue.delete(key);
      used.set(queue, (used.get(queue) ?? 0) - bytes);
      return bytes;
    };
    const count = (key: string) => {
      counts.set(key, (counts.get(key) ?? 0) + 1);
      const entries = window.size + probation.size + kept.size;
      if (++counted < sampleFactor * Math.max(entries, 100)) return;
      counted = 0;
      for (const [one, many] of counts) {
        if (many < 2) counts.delete(one);
        else counts.set(one, many >> 1);
      }
    };
    const rankOf = (key: string, bytes: number) => {
      const ask = asked.get(key);
      return ask === undefined ? 0 : rank(counts.get(key) ?? 0, ask, bytes);
    };
    const mainBytes = maxBytes * (1 - windowShare);
    const usedInMain = () => (used.get(probation) ?? 0) + (used.get(kept) ?? 0);
    /** Evicts entries that rank lower until the candidate fits, or drops it at the first that does not. */
    const admit = (key: string, bytes: number) => {
      if (bytes > mainBytes) return void asked.delete(key);
      while (usedInMain() + bytes > mainBytes) {
        const queue = probation.size > 0 ? probation : kept;
        const [victim, victimBytes] = firstOf(queue);
        if (rankOf(key, bytes) <= rankOf(victim, victimBytes)) return void asked.delete(key);
        take(queue, victim);
        asked.delete(victim);
      }
      put(probation, key, bytes);
    };

    for (const ask of asks) {
      const { key } = ask;
      count(key);
      const queue = [window, probation, kept].find((one) => one.has(key));
      if (queue !== undefined) {
        saved += ask.cost;
        const bytes = take(queue, key);
        put(queue === window ? window : kept, key, bytes);
        while ((used.get(kept) ?? 0) > mainBytes * protectedShare) {
          const [oldest] = firstOf(kept);
          put(probation, oldest, take(kept, oldest));
        }
        continue;
      }
      asked.set(key, ask);
      put(window, key, bytesOf(ask));
      while ((used.get(window) ?? 0) > maxBytes * windowShare) {
        const [oldest] = firstOf(window);
        admit(oldest, take(window, oldest));
      }
    }
    return saved;
  };
}
