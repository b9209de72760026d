import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import type { UsageSink } from './sink.ts';

/** The gateway's logger: `llm-usage ` and the record as JSON, one line each, at level info. */
export function logSink(log: Log): UsageSink {
  let failures = 0;
  return {
    record(record: UsageRecord): void {
      try {
        log.info(`llm-usage ${JSON.stringify(record)}`);
      } catch {
        // The logger itself failed: there is no place left to say so, and the request must go on.
        failures++;
      }
    },
    stats: () => ({ dropped: failures, failures }),
    flush: async () => {},
    flushSync: () => {},
    close: async () => {},
  };
}
