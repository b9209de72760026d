import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import type { UsageSink } from './sink.ts';

/**
 * Creates a sink that logs each record at level info: one line of `llm-usage ` and the record as
 * JSON.
 */
export function logSink(log: Log): UsageSink {
  let failures = 0;
  return {
    record(record: UsageRecord): void {
      try {
        log.info(`llm-usage ${JSON.stringify(record)}`);
      } catch {
        // The logger itself failed, so the failure can only be counted; the request must go on.
        failures++;
      }
    },
    stats: () => ({ dropped: failures, failures }),
    flush: async () => {},
    flushSync: () => {},
    close: async () => {},
  };
}
