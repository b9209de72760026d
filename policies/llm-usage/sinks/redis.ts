import type { Log } from '../../shared/log.ts';
import { type RedisConnection, StoreUnavailable } from '../../shared/redis/connection.ts';
import type { UsageRecord } from '../usage-record.ts';
import type { SinkStats, UsageSink } from './sink.ts';

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
  readonly #maxQueuedRecords: number;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #draining: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #trouble: 'overrun' | 'failing' | null = null;
  #dropped = 0;
  #droppedBefore = 0;
  #failures = 0;
  #saidLost = 0;

  constructor(options: RedisSinkOptions) {
    this.#options = options;
    this.#maxQueuedRecords = options.maxQueuedRecords ?? 10_000;
  }

  record(record: UsageRecord): void {
    const line = Buffer.from(JSON.stringify(record));
    const isFull = this.#queue.length >= this.#maxQueuedRecords;
    if (isFull || this.#queuedBytes + line.length > maxQueuedBytes) {
      this.#overrun();
      return;
    }
    this.#queue.push(line);
    this.#queuedBytes += line.length;
    this.#schedule(gatherMs);
  }

  stats(): SinkStats {
    return { dropped: this.#dropped, failures: this.#failures };
  }

  /** Tries once: where Redis fails the records stay in the queue. */
  async flush(): Promise<void> {
    // The batch under way may have left without the newest records.
    await this.#draining;
    await this.#drain();
  }

  /** Nothing can be sent any more; says how many records that leaves out. */
  flushSync(): void {
    const lost = this.#queue.length + this.#dropped - this.#droppedBefore;
    if (this.#queue.length > 0 && lost !== this.#saidLost) {
      this.#say(
        'error',
        `llm-usage: at the end ${lost} records are not in the Redis stream ${this.#options.stream}`,
      );
    }
    this.#saidLost = lost;
  }

  async close(): Promise<void> {
    await this.flush();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.flushSync();
    this.#options.connection.close();
  }

  #schedule(ms: number): void {
    // Who drains looks for newer records when it is done.
    if (this.#draining !== null) return;
    this.#timer ??= setTimeout(() => void this.#drain(), ms).unref();
  }

  #drain(): Promise<void> {
    this.#draining ??= this.#sendAll().then((wait) => {
      this.#draining = null;
      if (this.#queue.length > 0) this.#schedule(wait);
    });
    return this.#draining;
  }

  /** Sends what waits now; returns in how many milliseconds to come again. */
  async #sendAll(): Promise<number> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    let left = this.#queue.length;
    if (left === 0) return gatherMs;
    try {
      while (left > 0) left -= await this.#sendSome(left);
    } catch (error) {
      this.#failed(error);
      return retryMs;
    }
    this.#recovered();
    return gatherMs;
  }

  /** Returns how many records are out. */
  async #sendSome(most: number): Promise<number> {
    const batch: Buffer[] = [];
    let bytes = 0;
    for (const line of this.#queue.slice(0, Math.min(most, recordsAtOnce))) {
      if (batch.length > 0 && bytes + line.length > bytesAtOnce) break;
      batch.push(line);
      bytes += line.length;
    }
    const { connection, stream, maxLength } = this.#options;
    await connection.run(
      (client) => client.call('EVAL', addScript, 1, stream, maxLength, ...batch),
      timeoutMs,
    );
    this.#queue.splice(0, batch.length);
    this.#queuedBytes -= bytes;
    return batch.length;
  }

  #failed(error: unknown): void {
    this.#failures++;
    if (this.#trouble === 'failing') return;
    this.#trouble = 'failing';
    const { stream } = this.#options;
    this.#say(
      'error',
      `llm-usage: cannot add to the Redis stream ${stream} (${codeOf(error)}); records wait and are tried again`,
    );
  }

  #overrun(): void {
    this.#dropped++;
    if (this.#trouble !== null) return;
    this.#trouble = 'overrun';
    const { stream } = this.#options;
    this.#say(
      'error',
      `llm-usage: records come faster than the Redis stream ${stream} takes them; some are lost`,
    );
  }

  #recovered(): void {
    if (this.#trouble === null) return;
    this.#trouble = null;
    const lost = this.#dropped - this.#droppedBefore;
    this.#droppedBefore = this.#dropped;
    const { stream } = this.#options;
    this.#say(
      'warn',
      `llm-usage: the Redis stream ${stream} is written again; ${lost} records were dropped`,
    );
  }

  #say(level: 'warn' | 'error', message: string): void {
    try {
      this.#options.log[level](message);
    } catch {
      // A logger that fails must not stop the sending.
    }
  }
}

/** Never a reply's message, which may quote what was sent. */
function codeOf(error: unknown): string {
  if (error instanceof StoreUnavailable) return error.message;
  if (!(error instanceof Error)) return 'unknown error';
  return /^[A-Z]+(?= )/.exec(error.message)?.[0] ?? error.name;
}
