import * as fs from 'node:fs';
import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import type { UsageSink } from './sink.ts';

export interface JsonlSinkOptions {
  /** Absolute. */
  readonly path: string;
  readonly log: Log;
  /** How much may wait while the file cannot be written, in bytes. */
  readonly maxQueuedBytes?: number;
  /** Milliseconds from a failed write to the next try. */
  readonly retryMs?: number;
}

const idleMs = 60_000;

/**
 * A file with one record a line, appended to. Writes are synchronous and small: a batch is what came
 * within one turn of the loop or so, and a line is never torn by the end of the process.
 */
export class JsonlSink implements UsageSink {
  readonly #path: string;
  readonly #log: Log;
  readonly #maxQueuedBytes: number;
  readonly #retryMs: number;
  #fd: number | null = null;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #idle: NodeJS.Timeout | null = null;
  #failing = false;
  #dropped = 0;

  constructor(options: JsonlSinkOptions) {
    this.#path = options.path;
    this.#log = options.log;
    this.#maxQueuedBytes = options.maxQueuedBytes ?? 16 * 1024 * 1024;
    this.#retryMs = options.retryMs ?? 1000;
  }

  /** Records given up since the file could not be written. */
  get dropped(): number {
    return this.#dropped;
  }

  record(record: UsageRecord): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    if (this.#queuedBytes + line.length > this.#maxQueuedBytes) {
      this.#dropped++;
      return;
    }
    this.#queue.push(line);
    this.#queuedBytes += line.length;
    this.#timer ??= setTimeout(() => this.#drain(), gatherMs).unref();
  }

  async flush(): Promise<void> {
    this.#drain();
  }

  flushSync(): void {
    this.#drain();
  }

  async close(): Promise<void> {
    this.#drain();
    this.#letGo();
  }

  #drain(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#queue.length === 0) return;
    try {
      this.#write(this.#open());
      if (this.#failing) this.#recovered();
      this.#rest();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Writes what waits; after a failure the queue begins with the part that did not go out. */
  #write(fd: number): void {
    let batch = Buffer.concat(this.#queue);
    this.#queue = [batch];
    while (batch.length > 0) {
      const written = fs.writeSync(fd, batch);
      batch = batch.subarray(written);
      this.#queue = [batch];
      this.#queuedBytes = batch.length;
    }
    this.#queue = [];
  }

  /** The file of that name as it is now: a rotation may have moved the one that was open. */
  #open(): number {
    if (this.#fd !== null && !this.#isMoved(this.#fd)) return this.#fd;
    this.#letGo();
    this.#fd = fs.openSync(this.#path, 'a', 0o600);
    return this.#fd;
  }

  #isMoved(fd: number): boolean {
    const named = fs.statSync(this.#path, { throwIfNoEntry: false });
    const open = fs.fstatSync(fd);
    return named === undefined || named.ino !== open.ino || named.dev !== open.dev;
  }

  #failed(error: unknown): void {
    this.#letGo();
    if (!this.#failing) {
      this.#failing = true;
      this.#log.error(
        `llm-usage: cannot write ${this.#path} (${codeOf(error)}); records wait and are tried again`,
      );
    }
    this.#timer = setTimeout(() => this.#drain(), this.#retryMs).unref();
  }

  #recovered(): void {
    this.#failing = false;
    this.#log.warn(
      `llm-usage: ${this.#path} can be written again; ${this.#dropped} records were lost since the start`,
    );
  }

  #rest(): void {
    if (this.#idle !== null) this.#idle.refresh();
    else this.#idle = setTimeout(() => this.#letGo(), idleMs).unref();
  }

  #letGo(): void {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    if (this.#fd !== null) fs.closeSync(this.#fd);
    this.#fd = null;
  }
}

const gatherMs = 20;

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
