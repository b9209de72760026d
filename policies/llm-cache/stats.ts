import type { AsideReason, RefusalReason } from '../shared/reasons.ts';

/** What the cache did with a request. */
export type OutcomeName = 'hit' | 'miss' | 'coalesced' | 'stale' | 'request' | 'bypass';

export interface PipelineCounts {
  requests: number;
  readonly outcomes: Record<OutcomeName, number>;
  readonly reasons: Partial<Record<AsideReason, number>>;
  readonly notStored: Partial<Record<RefusalReason, number>>;
}

/** Counters by pipeline. They grow with the configuration only: every name in them is the operator's or ours. */
export class CacheStats {
  readonly #pipelines = new Map<string, PipelineCounts>();

  count(pipeline: string, outcome: OutcomeName, reason: AsideReason | null): void {
    const counts = this.#of(pipeline);
    counts.requests++;
    counts.outcomes[outcome]++;
    if (reason !== null) this.reason(pipeline, reason);
  }

  /** A request that was counted as a miss got an expired entry after all. */
  rescued(pipeline: string): void {
    const { outcomes } = this.#of(pipeline);
    outcomes.miss--;
    outcomes.stale++;
  }

  /** A reason that showed after the outcome. */
  reason(pipeline: string, reason: AsideReason): void {
    const { reasons } = this.#of(pipeline);
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }

  notStored(pipeline: string, reason: RefusalReason): void {
    const { notStored } = this.#of(pipeline);
    notStored[reason] = (notStored[reason] ?? 0) + 1;
  }

  pipelines(): Readonly<Record<string, PipelineCounts>> {
    return structuredClone(Object.fromEntries(this.#pipelines));
  }

  #of(pipeline: string): PipelineCounts {
    let counts = this.#pipelines.get(pipeline);
    if (counts === undefined) {
      counts = {
        requests: 0,
        outcomes: { hit: 0, miss: 0, coalesced: 0, stale: 0, request: 0, bypass: 0 },
        reasons: {},
        notStored: {},
      };
      this.#pipelines.set(pipeline, counts);
    }
    return counts;
  }
}
