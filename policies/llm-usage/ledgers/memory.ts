import { GroupedSums } from '../grouped-sums.ts';
import {
  asksFor,
  dayMs,
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

export interface MemoryLedgerOptions extends LedgerBounds {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** The sums of this process, which end with it. */
export class MemoryLedger implements Ledger {
  readonly #now: () => number;
  readonly #sums = new GroupedSums();
  #bounds: LedgerBounds;
  #oldest = '';
  /** In days since the epoch. */
  #today = Number.NaN;

  constructor(options: MemoryLedgerOptions) {
    this.#bounds = options;
    this.#now = options.now ?? Date.now;
  }

  record(record: UsageRecord): void {
    this.#dropOld();
    if (dayOf(record) >= this.#oldest) this.#sums.add(record, this.#bounds.maxGroups);
  }

  async query(query: LedgerQuery): Promise<LedgerReport> {
    this.#dropOld();
    const lines = [...this.#sums.lines()].filter(({ group }) => asksFor(query, group.day));
    return reportOf(lines, query.groupBy);
  }

  /** Fewer groups than are in use: those stay, and no new ones come. */
  configure(bounds: LedgerBounds): void {
    this.#bounds = bounds;
    this.#today = Number.NaN;
  }

  stats(): SinkStats {
    return { dropped: 0, failures: 0 };
  }

  async flush(): Promise<void> {}

  flushSync(): void {}

  async close(): Promise<void> {}

  #dropOld(): void {
    const today = Math.floor(this.#now() / dayMs);
    if (today === this.#today) return;
    this.#today = today;
    const oldest = oldestDay(this.#now(), this.#bounds);
    if (oldest === this.#oldest) return;
    this.#oldest = oldest;
    this.#sums.dropBefore(oldest);
  }
}
