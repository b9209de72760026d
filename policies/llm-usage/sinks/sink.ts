import type { UsageRecord } from '../usage-record.ts';

export interface SinkStats {
  /** Records dropped since the start, because the queue was full or the handover failed. */
  readonly dropped: number;
  /** Failed attempts to hand records over. */
  readonly failures: number;
}

/** A destination of usage records. Each output has its own file in this folder. */
export interface UsageSink {
  /** Takes a record. Synchronous and never throws: the sink counts and logs its failures. */
  record(record: UsageRecord): void;
  stats(): SinkStats;
  /** Tries once to hand over every record taken so far; a failure is logged. */
  flush(): Promise<void>;
  /** Does the same when the process exits and nothing asynchronous can run. */
  flushSync(): void;
  /** Flushes, then closes files and sockets; a later record opens them again. */
  close(): Promise<void>;
}
