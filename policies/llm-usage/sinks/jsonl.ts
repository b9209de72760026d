import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import {
  type Batch,
  batchBytes,
  type PartialLine,
  endsWithPartial,
  endsInLine,
  isSame,
  landedBytes,
  lineEnd,
  settledBytes,
} from './file-tail.ts';
import { Drain } from './drain.ts';
import { RecordQueue } from './record-queue.ts';
import type { SinkStats, UsageSink } from './sink.ts';
import { TroubleLog } from './trouble-log.ts';

export interface JsonlSinkOptions {
  /** Absolute. The sink creates the file with mode 0600 if missing; its folder must exist. */
  readonly path: string;
  readonly log: Log;
  /** Bound of the queue in bytes. Default: 16 MiB. */
  readonly maxQueuedBytes?: number;
  /** Milliseconds from a failed write to the next try. Default: 1000. */
  readonly retryMs?: number;
  /** Milliseconds without a record after which the file is closed. Default: 60,000. */
  readonly idleMs?: number;
  /** Writes bytes to a file. Default: node:fs. */
  readonly writer?: Writer;
}

/** Both methods append as much as they can and return the number of bytes written. */
export interface Writer {
  write(fd: number, bytes: Buffer): Promise<number>;
  writeSync(fd: number, bytes: Buffer): number;
}

interface OpenFile {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
  /** Whether the file's last byte is known to end a line. */
  isTailKnown: boolean;
}

const gatherMs = 20;

/**
 * Appends one JSON line per record to a file. A line stays in a bounded queue until it is in the
 * file; while the file cannot be written, the sink retries.
 */
export class JsonlSink implements UsageSink {
  readonly #path: string;
  readonly #idleMs: number;
  readonly #writer: Writer;
  readonly #queue: RecordQueue;
  readonly #drain: Drain;
  readonly #trouble: TroubleLog;
  #partial: PartialLine | null = null;
  #file: OpenFile | null = null;
  #inFlight: Batch | null = null;
  #idle: NodeJS.Timeout | null = null;

  constructor(options: JsonlSinkOptions) {
    const { path, log } = options;
    this.#path = path;
    this.#idleMs = options.idleMs ?? 60_000;
    this.#writer = options.writer ?? nodeWriter;
    this.#queue = new RecordQueue({ maxBytes: options.maxQueuedBytes ?? 16 * 1024 * 1024 });
    this.#trouble = new TroubleLog(log, { target: path, action: `write ${path}` });
    this.#drain = new Drain({
      gatherMs,
      retryMs: options.retryMs ?? 1000,
      handOver: () => this.#handOver(),
      isEmpty: () => this.#queue.isEmpty,
    });
  }

  /** Records dropped since the start because the queue was full. */
  get dropped(): number {
    return this.#trouble.stats().dropped;
  }

  stats(): SinkStats {
    return this.#trouble.stats();
  }

  record(record: UsageRecord): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    if (this.#queue.push(line)) this.#drain.schedule();
    else this.#trouble.overrun();
  }

  /** Tries once; if the file cannot be written, the records stay in the queue. */
  async flush(): Promise<void> {
    await this.#drain.flush();
  }

  flushSync(): void {
    try {
      this.#settle();
      if (!this.#queue.isEmpty) this.#writeOutSync();
    } catch (error) {
      this.#trouble.failedAtEnd(codeOf(error), this.#queue.size + this.#trouble.droppedNow);
    }
  }

  /** Records that a failing file keeps in the queue are still retried; the file itself is closed. */
  async close(): Promise<void> {
    await this.flush();
    if (!this.#drain.isRunning) await this.#closeFile();
  }

  async #handOver(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    try {
      await this.#writeOut();
    } catch (error) {
      this.#trouble.failed(codeOf(error));
      await this.#closeFile();
      throw error;
    }
    if (this.#file !== null) {
      this.#idle = setTimeout(() => void this.#closeFile(), this.#idleMs).unref();
    }
  }

  /** Writes the lines queued at the time of the call. */
  async #writeOut(): Promise<void> {
    let left = this.#queue.size;
    if (left === 0) return;
    while (left > 0 && !this.#queue.isEmpty) {
      const [file, at] = await this.#open();
      // A flushSync may have emptied the queue meanwhile.
      if (this.#queue.isEmpty) break;
      const batch = this.#nextBatch(at, file.isTailKnown);
      const done = await this.#write(file.fd, batch);
      if (done === null) return;
      file.isTailKnown = true;
      left -= done;
    }
    this.#trouble.recovered();
  }

  /** Returns how many lines were completed, or null if a flushSync took over the batch meanwhile. */
  async #write(fd: number, batch: Batch): Promise<number | null> {
    this.#inFlight = batch;
    try {
      const written = await this.#writer.write(fd, batch.bytes);
      // Must run in the same turn as the check, so that a flushSync neither repeats nor loses lines.
      return this.#inFlight === batch ? this.#advance(batch, written) : null;
    } catch (error) {
      if (this.#inFlight !== batch) return null;
      this.#keepLanded(batch);
      throw error;
    } finally {
      if (this.#inFlight === batch) this.#inFlight = null;
    }
  }

  /** Uses its own descriptor, since the other may be busy. */
  #writeOutSync(): void {
    const fd = fs.openSync(this.#path, 'a', 0o600);
    try {
      for (let isTailKnown = false; !this.#queue.isEmpty; isTailKnown = true) {
        const batch = this.#nextBatch(fs.fstatSync(fd), isTailKnown);
        this.#advance(batch, this.#writeSync(fd, batch));
      }
    } finally {
      fs.closeSync(fd);
    }
    this.#trouble.recovered();
  }

  #writeSync(fd: number, batch: Batch): number {
    try {
      return this.#writer.writeSync(fd, batch.bytes);
    } catch (error) {
      this.#keepLanded(batch);
      throw error;
    }
  }

  /**
   * On a full disk Deno writes what fits, then fails without saying how much that was: look in the
   * file.
   */
  #keepLanded(batch: Batch): void {
    const landed = landedBytes(this.#path, batch) ?? 0;
    if (landed > 0) this.#advance(batch, landed);
  }

  /** Waits for the write in flight by polling the file, since its callback can no longer run. */
  #settle(): void {
    const batch = this.#inFlight;
    if (batch === null) return;
    this.#inFlight = null;
    // If nothing landed in time, write it again: ids reveal duplicates, but nothing restores a lost
    // line.
    const landed = settledBytes(this.#path, batch);
    if (landed > 0) this.#advance(batch, landed);
  }

  #nextBatch(at: fs.Stats, isTailKnown: boolean): Batch {
    let mayEndInLine = !isTailKnown;
    if (this.#partial !== null && !endsWithPartial(this.#partial, at)) {
      // The start of the line is gone or no longer at the end, so write the line again in full.
      this.#partial = null;
      mayEndInLine = true;
    }
    const skip = this.#partial?.written ?? 0;
    const lead = skip === 0 && mayEndInLine && endsInLine(this.#path, at) ? 1 : 0;

    const lines = this.#queue.oldest(batchBytes);
    const parts = lead === 1 ? [lineEnd, ...lines] : lines;
    return { bytes: Buffer.concat(parts).subarray(skip), lead, at };
  }

  /** Removes the written bytes from the queue. Returns how many lines are complete. */
  #advance({ lead, at }: Batch, written: number): number {
    if (written === 0) throw new Error('nothing was written');
    const { removed, rest } = this.#queue.removeBytes(
      (this.#partial?.written ?? 0) + written - lead,
    );
    const { dev, ino } = at;
    this.#partial = rest > 0 ? { written: rest, dev, ino, end: at.size + written } : null;
    return removed;
  }

  /**
   * Opens the file now at the path, unless it is open already: a log rotation may have moved the
   * old one.
   */
  async #open(): Promise<[OpenFile, fs.Stats]> {
    const named = await statOrNull(this.#path);
    if (this.#file !== null && named !== null && isSame(this.#file, named)) {
      return [this.#file, named];
    }
    await this.#closeFile();
    const fd = await open(this.#path, 'a', 0o600);
    try {
      const at = await fstat(fd);
      this.#file = { fd, dev: at.dev, ino: at.ino, isTailKnown: false };
      return [this.#file, at];
    } catch (error) {
      await close(fd);
      throw error;
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    // Ignore errors of close: they concern earlier writes, which cannot be repeated.
    if (file !== null) await close(file.fd).catch(() => {});
  }
}

const open = promisify(fs.open);
const fstat: (fd: number) => Promise<fs.Stats> = promisify(fs.fstat);
const close = promisify(fs.close);

const nodeWriter: Writer = {
  write: (fd, bytes) =>
    new Promise((resolve, reject) => {
      fs.write(fd, bytes, (error, written) => (error ? reject(error) : resolve(written)));
    }),
  writeSync: (fd, bytes) => fs.writeSync(fd, bytes),
};

async function statOrNull(path: string): Promise<fs.Stats | null> {
  try {
    return await fs.promises.stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error ? String(error.code) : error.message;
}
