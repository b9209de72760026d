import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import type { UsageSink } from './sink.ts';

/** The gateway's logger, one line of JSON a record. */
export function logSink(log: Log): UsageSink {
  return {
    record: (record: UsageRecord) => log.info(`llm-usage ${JSON.stringify(record)}`),
    flush: async () => {},
    flushSync: () => {},
    close: async () => {},
  };
}
