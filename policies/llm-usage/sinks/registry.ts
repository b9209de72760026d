import { resolve } from 'node:path';
import type { SinkSettings } from '../../../schemas/plugin.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { Log } from '../../shared/log.ts';
import { RedisConnection } from '../../shared/redis/connection.ts';
import type { UsageRecord } from '../usage-record.ts';
import { JsonlSink } from './jsonl.ts';
import { logSink } from './log.ts';
import type { PrometheusSink } from './prometheus.ts';
import { RedisSink } from './redis.ts';
import type { SinkStats, UsageSink } from './sink.ts';

export interface SinkParts {
  readonly log: Log;
  readonly faults: FaultLog;
  /** Always active, configured or not; its settings only add labels. */
  readonly prometheus: PrometheusSink;
  /** Returns the connection of a redis store, or of the only one if no name is given. */
  redisOf(store: string | undefined): RedisConnection;
}

const defaults = {
  labels: ['provider', 'model'],
  stream: 'llm-cache:usage',
  maxLength: 100_000,
} as const;
const redisTimeoutMs = 1000;

interface Kept {
  readonly name: string;
  readonly sink: UsageSink;
  isConfigured: boolean;
}

/** Creates the sinks and keeps them across configuration reloads; an unused one holds no resources. */
export class SinkRegistry {
  readonly #kept = new Map<string, Kept>();
  readonly #parts: SinkParts;
  /** Each connection's index distinguishes it in a sink's key. */
  readonly #connections: RedisConnection[] = [];

  constructor(parts: SinkParts) {
    this.#parts = parts;
  }

  /**
   * Returns a function that hands a record to the sinks of a configuration and to those in `always`.
   * That function never throws.
   */
  open(
    settings: readonly SinkSettings[],
    always: readonly UsageSink[],
  ): (record: UsageRecord) => void {
    const { prometheus, faults } = this.#parts;
    const divided = settings.find(({ type }) => type === 'prometheus');
    prometheus.divide(divided === undefined ? [] : (divided.labels ?? defaults.labels));
    for (const kept of this.#kept.values()) kept.isConfigured = false;
    const sinks = new Set([...always, prometheus, ...settings.map((one) => this.#sink(one))]);
    return (record) => {
      for (const sink of sinks) {
        try {
          sink.record(record);
        } catch (error) {
          faults.report('llm-usage: a sink failed', error);
        }
      }
    };
  }

  /** Returns the counters of the sinks that are configured now, by name. */
  stats(): Readonly<Record<string, SinkStats>> {
    const all: Record<string, SinkStats> = {};
    for (const { name, sink, isConfigured } of this.#kept.values()) {
      if (!isConfigured) continue;
      const { dropped, failures } = sink.stats();
      const sum = all[name] ?? { dropped: 0, failures: 0 };
      all[name] = { dropped: sum.dropped + dropped, failures: sum.failures + failures };
    }
    return all;
  }

  async flush(): Promise<void> {
    await Promise.allSettled([...this.#kept.values()].map(({ sink }) => sink.flush()));
  }

  flushSync(): void {
    for (const { sink } of this.#kept.values()) sink.flushSync();
  }

  /** Flushes every sink and closes its files and sockets. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#kept.values()].map(({ sink }) => sink.close()));
  }

  #sink(settings: SinkSettings): UsageSink {
    const { key, name, make } = this.#kind(settings);
    const kept = this.#kept.get(key) ?? { name, sink: make(), isConfigured: true };
    kept.isConfigured = true;
    this.#kept.set(key, kept);
    return kept.sink;
  }

  /**
   * The only place that knows every kind of sink. A name never contains a url, which may have a
   * password.
   */
  #kind(settings: SinkSettings): { key: string; name: string; make: () => UsageSink } {
    const { log, prometheus } = this.#parts;
    switch (settings.type) {
      case 'jsonl': {
        const path = resolve(settings.path ?? '');
        const name = `jsonl ${settings.path}`;
        return { key: `jsonl ${path}`, name, make: () => new JsonlSink({ path, log }) };
      }
      case 'log':
        return { key: 'log', name: 'log', make: () => logSink(log) };
      case 'prometheus':
        return { key: 'prometheus', name: 'prometheus', make: () => prometheus };
      case 'redis': {
        const { stream = defaults.stream, maxLength = defaults.maxLength } = settings;
        const [where, connect] = this.#placeOf(settings);
        return {
          key: JSON.stringify(['redis', where, stream, maxLength]),
          name: `redis ${stream}`,
          make: () => new RedisSink({ connection: connect(), stream, maxLength, log }),
        };
      }
    }
  }

  #placeOf({ store, url }: SinkSettings): [where: unknown, connect: () => RedisConnection] {
    const { log, redisOf } = this.#parts;
    if (url !== undefined) {
      const subject = 'llm-usage: sink "redis"';
      const own = { subject, url, options: {}, timeoutMs: redisTimeoutMs, log };
      return [url, () => new RedisConnection(own)];
    }
    const connection = redisOf(store);
    if (!this.#connections.includes(connection)) this.#connections.push(connection);
    return [this.#connections.indexOf(connection), () => connection];
  }
}
