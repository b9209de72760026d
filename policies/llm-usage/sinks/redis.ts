import type { Log } from '../../shared/log.ts';
import { reasonOf, type RedisConnection } from '../../shared/redis/connection.ts';
import type { UsageRecord } from '../usage-record.ts';
import { Drain } from './drain.ts';
import { RecordQueue } from './record-queue.ts';
import type { SinkStats, UsageSink } from './sink.ts';
import { TroubleLog } from './trouble-log.ts';

export interface RedisSinkOptions {
  /** `close` disconnects it as well; a later use connects anew. */
  readonly connection: RedisConnection;
  /** The key of the stream, as it is. */
  readonly stream: string;
  /** Records that the stream keeps, or a few more; the oldest go. */
  readonly maxLength: number;
  readonly log: Log;
  /** Records that may wait while Redis fails. 10,000. */
  readonly maxQueuedRecords?: number;
}

const gatherMs = 20;
const retryMs = 1000;
const timeoutMs = 1000;
const recordsAtOnce = 200;
const bytesAtOnce = 1024 * 1024;
/** All that wait; names in a record come from outside and may be long. */
const maxQueuedBytes = 16 * 1024 * 1024;

// KEYS: the stream. ARGV: its length, then the records.
const addScript = `
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'record', ARGV[i])
end
return #ARGV - 1`;

/**
 * A Redis stream with one entry a record, its field `record` the record as JSON. Records wait in a
 * bounded queue until Redis says that it has them; where its answer is lost they are added again,
 * so that a record may be there twice: its `id` tells.
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

  /** Tries once: where Redis fails the records stay in the queue. */
  async flush(): Promise<void> {
    await this.#drain.flush();
  }

  /** Nothing can be sent any more; says how many records that leaves out. */
  flushSync(): void {
    const lost = this.#queue.size + this.#trouble.droppedNow;
    if (!this.#queue.isEmpty && lost !== this.#loggedLost) {
      const { stream } = this.#options;
      this.#trouble.say(
        'error',
        `at the end ${lost} records are not in the Redis stream ${stream}`,
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
      while (left > 0) left -= await this.#sendSome(left);
    } catch (error) {
      this.#trouble.failed(reasonOf(error));
      throw error;
    }
    this.#trouble.recovered();
  }

  /** Returns how many records are out. */
  async #sendSome(most: number): Promise<number> {
    const batch = this.#queue.oldest(bytesAtOnce, Math.min(most, recordsAtOnce));
    const { connection, stream, maxLength } = this.#options;
    await connection.run(
      (client) => client.call('EVAL', addScript, 1, stream, maxLength, ...batch),
      timeoutMs,
    );
    this.#queue.remove(batch.length);
    return batch.length;
  }
}
