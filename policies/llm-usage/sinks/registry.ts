import { resolve } from 'node:path';
import type { SinkSettings } from '../../../schemas/plugin.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import { JsonlSink } from './jsonl.ts';
import { logSink } from './log.ts';
import type { UsageSink } from './sink.ts';

/** The sinks, kept across reloads of the configuration; one that nobody uses holds nothing. */
export class SinkRegistry {
  readonly #sinks = new Map<string, UsageSink>();
  readonly #log: Log;
  readonly #faults: FaultLog;

  constructor(log: Log, faults: FaultLog) {
    this.#log = log;
    this.#faults = faults;
  }

  /** Hands records to the sinks of one configuration. Never throws. */
  open(settings: readonly SinkSettings[]): (record: UsageRecord) => void {
    const sinks = settings.map((one) => this.#sink(one));
    return (record) => {
      for (const sink of sinks) {
        try {
          sink.record(record);
        } catch (error) {
          this.#faults.report('llm-usage: a sink failed', error);
        }
      }
    };
  }

  async flush(): Promise<void> {
    await Promise.allSettled([...this.#sinks.values()].map((sink) => sink.flush()));
  }

  flushSync(): void {
    for (const sink of this.#sinks.values()) sink.flushSync();
  }

  #sink(settings: SinkSettings): UsageSink {
    const key = settings.type === 'jsonl' ? `jsonl ${resolve(settings.path ?? '')}` : settings.type;
    let sink = this.#sinks.get(key);
    if (sink === undefined) {
      sink = this.#make(settings);
      this.#sinks.set(key, sink);
    }
    return sink;
  }

  /** The only place that knows every kind of sink. */
  #make(settings: SinkSettings): UsageSink {
    switch (settings.type) {
      case 'jsonl':
        return new JsonlSink({ path: resolve(settings.path ?? ''), log: this.#log });
      case 'log':
        return logSink(this.#log);
    }
  }
}
