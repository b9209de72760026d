import { GroupedSums } from '../grouped-sums.ts';
import {
  asksFor,
  dayOf,
  type Ledger,
  type LedgerBounds,
  type LedgerQuery,
  type LedgerReport,
  oldestDay,
  reportOf,
} from '../ledger.ts';
import type { SinkStats } from '../sinks/sink.ts';
import type { UsageRecord } from '../usage-record.ts';
import { SteadyClock } from './steady-clock.ts';

export interface MemoryLedgerOptions extends LedgerBounds {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** A monotonic clock, in milliseconds. */
  readonly running?: () => number;
}

/** A ledger in this process's memory, lost when the process ends. */
export class MemoryLedger implements Ledger {
  readonly #clock: SteadyClock;
  readonly #sums = new GroupedSums();
  #bounds: LedgerBounds;
  #today = '';
  #oldest = '';

  constructor(options: MemoryLedgerOptions) {
    const { now = Date.now, running = () => performance.now() } = options;
    this.#bounds = options;
    this.#clock = new SteadyClock(now, running);
  }

  record(record: UsageRecord): void {
    const day = dayOf(this.#dropOld() - record.duration_ms);
    if (day >= this.#oldest) this.#sums.add(record, day, this.#bounds.maxGroups);
  }

  async query(query: LedgerQuery): Promise<LedgerReport> {
    this.#dropOld();
    const lines = [...this.#sums.lines()].filter(({ group }) => asksFor(query, group.day));
    return reportOf(lines, query.groupBy, this.#sums.days);
  }

  /** A lower `maxGroups` keeps all groups in use and admits no new ones. */
  configure(bounds: LedgerBounds): void {
    this.#bounds = bounds;
    this.#today = '';
  }

  stats(): SinkStats {
    return { dropped: 0, failures: 0 };
  }

  async flush(): Promise<void> {}

  flushSync(): void {}

  async close(): Promise<void> {}

  /** Drops the days beyond the retention, and returns the time. */
  #dropOld(): number {
    const now = this.#clock.now();
    const today = dayOf(now);
    if (today === this.#today) return now;
    this.#today = today;
    this.#oldest = oldestDay(now, this.#bounds);
    this.#sums.dropBefore(this.#oldest);
    return now;
  }
}
