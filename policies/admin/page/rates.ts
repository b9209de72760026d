import type { Stats } from './answers.ts';

interface Sample {
  readonly at: number;
  readonly requests: number;
  readonly hits: number;
}

const minuteMs = 60_000;
/** A longer gap (a hidden tab, an unreachable gateway) discards the samples. */
const maxGapMs = 15_000;

/** Computes current rates from samples of growing counters. */
export class Rates {
  #samples: Sample[] = [];

  add(stats: Stats, at: number): void {
    const all = Object.values(stats.pipelines);
    const sample = {
      at,
      requests: all.reduce((sum, one) => sum + one.requests, 0),
      hits: all.reduce((sum, one) => sum + served(one.outcomes), 0),
    };
    const last = this.#samples.at(-1);
    const restarted = last !== undefined && sample.requests < last.requests;
    if (restarted || (last !== undefined && at - last.at > maxGapMs)) this.#samples = [];
    this.#samples.push(sample);
    // Keeps one sample older than a minute as the baseline.
    while ((this.#samples[1]?.at ?? Infinity) <= at - minuteMs) this.#samples.shift();
  }

  /** Requests a second over the last ten seconds; null until there are two samples. */
  get perSecond(): number | null {
    const last = this.#samples.at(-1);
    if (last === undefined) return null;
    const first = this.#samples.find(({ at }) => at > last.at - 11_000);
    return first === undefined || first === last ? null : between(first, last);
  }

  /** The seconds that the samples cover, a minute at most. */
  get span(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    return first === undefined || last === undefined ? 0 : (last.at - first.at) / 1000;
  }

  /** The hit rate of the last minute; null without requests. */
  get hitRate(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.requests === first.requests) return null;
    return (last.hits - first.hits) / (last.requests - first.requests);
  }

  /** The requests a second between samples, each with its age in seconds. */
  get line(): { readonly ago: number; readonly perSecond: number }[] {
    const now = this.#samples.at(-1)?.at ?? 0;
    return this.#samples.slice(1).map((sample, at) => ({
      ago: (now - sample.at) / 1000,
      perSecond: between(this.#samples[at] ?? sample, sample),
    }));
  }
}

const between = (first: Sample, last: Sample) =>
  last.at === first.at ? 0 : (1000 * (last.requests - first.requests)) / (last.at - first.at);

/** Counts the requests that the cache answered. */
export const served = (outcomes: { hit: number; coalesced: number; stale: number }) =>
  outcomes.hit + outcomes.coalesced + outcomes.stale;
