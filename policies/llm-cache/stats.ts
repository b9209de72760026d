import type { ProtocolName } from '../shared/protocols/protocol.ts';
import type { AsideReason, RefusalReason } from '../shared/reasons.ts';

/** What the cache did with a request. */
export type OutcomeName = (typeof outcomeNames)[number];

export const outcomeNames = ['hit', 'miss', 'coalesced', 'stale', 'request', 'bypass'] as const;

export interface PipelineCounts {
  requests: number;
  readonly outcomes: Record<OutcomeName, number>;
  readonly reasons: Partial<Record<AsideReason, number>>;
  readonly notStored: Partial<Record<RefusalReason, number>>;
}

export interface OutcomeCount {
  readonly outcome: OutcomeName;
  readonly reason: AsideReason | null;
  count: number;
}

/** Counts one request. */
export interface Counts {
  readonly pipeline: string;
  readonly protocol: ProtocolName;
  /** Counts the request. Call it once per request. */
  count(outcome: OutcomeName, reason: AsideReason | null): void;
  /** Counts an answer that was not stored. */
  countNotStored(reason: RefusalReason): void;
  /** Counts a response that was broken off because its client read too slowly; `count` was called before. */
  countSlowReader(): void;
}

/** The counters of one pipeline and protocol; they only grow. */
export class Tally implements Counts {
  readonly pipeline: string;
  readonly protocol: ProtocolName;
  readonly notStored = new Map<RefusalReason, number>();
  readonly #outcomes = new Map<string, OutcomeCount>();
  #slowReaders = 0;

  constructor(pipeline: string, protocol: ProtocolName) {
    this.pipeline = pipeline;
    this.protocol = protocol;
  }

  get outcomes(): Iterable<Readonly<OutcomeCount>> {
    return this.#outcomes.values();
  }

  /** Readers of a shared stream that were broken off because they read too slowly. */
  get slowReaders(): number {
    return this.#slowReaders;
  }

  count(outcome: OutcomeName, reason: AsideReason | null): void {
    const key = `${outcome} ${reason}`;
    const known = this.#outcomes.get(key);
    if (known === undefined) this.#outcomes.set(key, { outcome, reason, count: 1 });
    else known.count++;
  }

  countSlowReader(): void {
    this.#slowReaders++;
  }

  countNotStored(reason: RefusalReason): void {
    this.notStored.set(reason, (this.notStored.get(reason) ?? 0) + 1);
  }
}

/** All tallies. Only the configuration adds to them: every name is the operator's or ours. */
export class CacheStats {
  readonly #tallies = new Map<string, Map<ProtocolName, Tally>>();

  of(pipeline: string, protocol: ProtocolName): Tally {
    const tallies = this.register(pipeline);
    let tally = tallies.get(protocol);
    if (tally === undefined) {
      tally = new Tally(pipeline, protocol);
      tallies.set(protocol, tally);
    }
    return tally;
  }

  /** Adds a pipeline, so that reports show it before its first request. */
  register(pipeline: string): Map<ProtocolName, Tally> {
    let tallies = this.#tallies.get(pipeline);
    if (tallies === undefined) {
      tallies = new Map();
      this.#tallies.set(pipeline, tallies);
    }
    return tallies;
  }

  tallies(): Tally[] {
    return [...this.#tallies.values()].flatMap((one) => [...one.values()]);
  }

  pipelines(): Readonly<Record<string, PipelineCounts>> {
    const all = [...this.#tallies].map(
      ([name, tallies]) => [name, sumOf([...tallies.values()])] as const,
    );
    return Object.fromEntries(all);
  }
}

function sumOf(tallies: readonly Tally[]): PipelineCounts {
  const sum: PipelineCounts = {
    requests: 0,
    outcomes: { hit: 0, miss: 0, coalesced: 0, stale: 0, request: 0, bypass: 0 },
    reasons: {},
    notStored: {},
  };
  const { outcomes, reasons, notStored } = sum;
  for (const tally of tallies) {
    for (const { outcome, reason, count } of tally.outcomes) {
      sum.requests += count;
      outcomes[outcome] += count;
      if (reason !== null) reasons[reason] = (reasons[reason] ?? 0) + count;
    }
    for (const [reason, count] of tally.notStored) {
      notStored[reason] = (notStored[reason] ?? 0) + count;
    }
    const slow = tally.slowReaders;
    if (slow > 0) reasons['slow-reader'] = (reasons['slow-reader'] ?? 0) + slow;
  }
  return sum;
}
