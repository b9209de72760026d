import type { Log } from '../../shared/log.ts';
import { reasonOf, type RedisConnection } from '../../shared/redis/connection.ts';
import type { UsageRecord } from '../usage-record.ts';
import { Drain } from './drain.ts';
import { RecordQueue } from './record-queue.ts';
import type { SinkStats, UsageSink } from './sink.ts';
import { TroubleLog } from './trouble-log.ts';

export interface RedisSinkOptions {
  /** `close` disconnects it too; a later use reconnects. */
  readonly connection: RedisConnection;
  /** The full key of the stream. */
  readonly stream: string;
  /** Approximate maximum length of the stream; Redis trims the oldest records. */
  readonly maxLength: number;
  readonly log: Log;
  /** Bound of the queue while Redis fails. Default: 10,000. */
  readonly maxQueuedRecords?: number;
}

const gatherMs = 20;
const retryMs = 1000;
const timeoutMs = 1000;
const recordsPerBatch = 200;
const bytesPerBatch = 1024 * 1024;
/** Clients choose some names in a record, so records may be long. */
const maxQueuedBytes = 16 * 1024 * 1024;

// KEYS: the stream. ARGV: its maximum length, then the records.
const addScript = `
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'record', ARGV[i])
end
return #ARGV - 1`;

/**
 * Adds each record to a Redis stream, as JSON in the field `record`. Records wait in a bounded queue
 * until Redis confirms them. If its reply is lost, the sink adds them again, so a record may occur
 * twice, with the same `id`.
 */
export class RedisSink implements UsageSink {
  readonly #options: RedisSinkOptions;
  readonly #queue: RecordQueue;
  readonly #trouble: TroubleLog;
  readonly #drain: Drain;
  #loggedLost = 0;

  constructor(options: RedisSinkOptions) {
    this.#options = options;
    this.#queue = new RecordQueue({
      maxBytes: maxQueuedBytes,
      maxRecords: options.maxQueuedRecords ?? 10_000,
    });
    const target = `the Redis stream ${options.stream}`;
    this.#trouble = new TroubleLog(options.log, { target, action: `add to ${target}` });
    this.#drain = new Drain({
      gatherMs,
      retryMs,
      handOver: () => this.#sendAll(),
      isEmpty: () => this.#queue.isEmpty,
    });
  }

  record(record: UsageRecord): void {
    if (this.#queue.push(Buffer.from(JSON.stringify(record)))) this.#drain.schedule();
    else this.#trouble.overrun();
  }

  stats(): SinkStats {
    return this.#trouble.stats();
  }

  /** Tries once; if Redis fails, the records stay in the queue. */
  async flush(): Promise<void> {
    await this.#drain.flush();
  }

  /** Sends nothing, since nothing asynchronous can run; logs how many records are lost. */
  flushSync(): void {
    const lost = this.#queue.size + this.#trouble.droppedNow;
    if (!this.#queue.isEmpty && lost !== this.#loggedLost) {
      const { stream } = this.#options;
      this.#trouble.say(
        'error',
        `${lost} records are missing from the Redis stream ${stream} at exit`,
      );
    }
    this.#loggedLost = lost;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#drain.stop();
    this.flushSync();
    this.#options.connection.close();
  }

  async #sendAll(): Promise<void> {
    let left = this.#queue.size;
    if (left === 0) return;
    try {
      while (left > 0) left -= await this.#sendBatch(left);
    } catch (error) {
      this.#trouble.failed(reasonOf(error));
      throw error;
    }
    this.#trouble.recovered();
  }

  /** Sends at most `limit` records. Returns how many Redis confirmed. */
  async #sendBatch(limit: number): Promise<number> {
    const batch = this.#queue.oldest(bytesPerBatch, Math.min(limit, recordsPerBatch));
    const { connection, stream, maxLength } = this.#options;
    await connection.run(
      (client) => client.call('EVAL', addScript, 1, stream, maxLength, ...batch),
      timeoutMs,
    );
    this.#queue.remove(batch.length);
    return batch.length;
  }
}
