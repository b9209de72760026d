import type { UsageRecord } from '../usage-record.ts';

export interface SinkStats {
  /** Records given up since the start: no room for them, or they could not be handed over. */
  readonly dropped: number;
  /** Attempts to hand records over that failed. */
  readonly failures: number;
}

/** Where usage records go. One file an output beside this one. */
export interface UsageSink {
  /** Takes a record. Synchronous; never throws: what fails is counted and logged by the sink. */
  record(record: UsageRecord): void;
  stats(): SinkStats;
  /** Resolves when every record taken so far is out, or was given up with a word in the log. */
  flush(): Promise<void>;
  /** The same at the very end of the process, where nothing asynchronous runs any more. */
  flushSync(): void;
  /** Flushes and lets go of files and sockets; a later record opens them again. */
  close(): Promise<void>;
}
