import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { Log } from '../../shared/log.ts';
import type { UsageRecord } from '../usage-record.ts';
import {
  type Batch,
  batchBytes,
  type Begun,
  continues,
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
  /** Absolute. Made with mode 0600 where it does not exist; its folder has to be there. */
  readonly path: string;
  readonly log: Log;
  /** How much may wait while the file cannot be written, in bytes. 16 MiB. */
  readonly maxQueuedBytes?: number;
  /** Milliseconds from a failed write to the next try. 1000. */
  readonly retryMs?: number;
  /** Milliseconds without a record after which the file is closed. 60,000. */
  readonly idleMs?: number;
  /** How bytes get into a file, as node:fs does it. */
  readonly writer?: Writer;
}

/** Both append what they can and tell how many bytes that was. */
export interface Writer {
  write(fd: number, bytes: Buffer): Promise<number>;
  writeSync(fd: number, bytes: Buffer): number;
}

interface OpenFile {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
  /** Whether its last byte is known to end a line. */
  isTailKnown: boolean;
}

const gatherMs = 20;

/**
 * A file with one record a line, appended to. Lines wait in a bounded queue and leave it when they
 * are in the file; while it cannot be written they stay there and are tried again.
 */
export class JsonlSink implements UsageSink {
  readonly #path: string;
  readonly #idleMs: number;
  readonly #writer: Writer;
  readonly #queue: RecordQueue;
  readonly #drain: Drain;
  readonly #trouble: TroubleLog;
  #begun: Begun | null = null;
  #file: OpenFile | null = null;
  #underWay: Batch | null = null;
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

  /** Records given up since the start, because the queue was full. */
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

  /** Tries once: where the file cannot be written the records stay in the queue. */
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

  /** What a failing file keeps waiting is tried on, with nothing held but the memory. */
  async close(): Promise<void> {
    await this.flush();
    if (!this.#drain.isRunning) await this.#letGo();
  }

  async #handOver(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    try {
      await this.#writeOut();
    } catch (error) {
      this.#trouble.failed(codeOf(error));
      await this.#letGo();
      throw error;
    }
    if (this.#file !== null) {
      this.#idle = setTimeout(() => void this.#letGo(), this.#idleMs).unref();
    }
  }

  /** Writes the lines that wait now. */
  async #writeOut(): Promise<void> {
    let left = this.#queue.size;
    if (left === 0) return;
    while (left > 0 && !this.#queue.isEmpty) {
      const [file, at] = await this.#open();
      // A flushSync may have come between and left nothing.
      if (this.#queue.isEmpty) break;
      const batch = this.#nextBatch(at, file.isTailKnown);
      const done = await this.#write(file.fd, batch);
      if (done === null) return;
      file.isTailKnown = true;
      left -= done;
    }
    this.#trouble.recovered();
  }

  /** How many lines are done; null when a flushSync has taken the batch over meanwhile. */
  async #write(fd: number, batch: Batch): Promise<number | null> {
    this.#underWay = batch;
    try {
      const written = await this.#writer.write(fd, batch.bytes);
      // Taken off the queue in the same step, so that no flushSync finds it neither here nor there.
      return this.#underWay === batch ? this.#advance(batch, written) : null;
    } catch (error) {
      if (this.#underWay !== batch) return null;
      this.#keepLanded(batch);
      throw error;
    } finally {
      if (this.#underWay === batch) this.#underWay = null;
    }
  }

  /** By a descriptor of its own, for the other one may be busy. */
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

  /** Deno's write fails on a full disk after it has written what fits, and does not say how much. */
  #keepLanded(batch: Batch): void {
    const landed = landedBytes(this.#path, batch) ?? 0;
    if (landed > 0) this.#advance(batch, landed);
  }

  /** Waits for the write under way by looking at the file, for its callback cannot come any more. */
  #settle(): void {
    const batch = this.#underWay;
    if (batch === null) return;
    this.#underWay = null;
    // If nothing shows up in time it is written again: a line twice can be told by its id, a lost one is lost.
    const landed = settledBytes(this.#path, batch);
    if (landed > 0) this.#advance(batch, landed);
  }

  #nextBatch(at: fs.Stats, isTailKnown: boolean): Batch {
    let mayEndInLine = !isTailKnown;
    if (this.#begun !== null && !continues(this.#begun, at)) {
      // The line's beginning is gone or buried, so the line starts anew.
      this.#begun = null;
      mayEndInLine = true;
    }
    const skip = this.#begun?.written ?? 0;
    const lead = skip === 0 && mayEndInLine && endsInLine(this.#path, at) ? 1 : 0;

    const lines = this.#queue.oldest(batchBytes);
    const parts = lead === 1 ? [lineEnd, ...lines] : lines;
    return { bytes: Buffer.concat(parts).subarray(skip), lead, at };
  }

  /** Takes what was written off the queue; returns how many lines are done. */
  #advance({ lead, at }: Batch, written: number): number {
    if (written === 0) throw new Error('nothing was written');
    const { removed, rest } = this.#queue.removeBytes((this.#begun?.written ?? 0) + written - lead);
    const { dev, ino } = at;
    this.#begun = rest > 0 ? { written: rest, dev, ino, end: at.size + written } : null;
    return removed;
  }

  /** The file of that name as it is now: a rotation may have moved the one that was open. */
  async #open(): Promise<[OpenFile, fs.Stats]> {
    const named = await statOrNull(this.#path);
    if (this.#file !== null && named !== null && isSame(this.#file, named)) {
      return [this.#file, named];
    }
    await this.#letGo();
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

  async #letGo(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    // What a close can report was written before, and cannot be written again.
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
