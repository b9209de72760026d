import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import process from 'node:process';
import type { Log } from '../../shared/log.ts';
import { entriesOf } from './entries-of.ts';
import type { Seal } from './seal.ts';
import { readSnapshot, SnapshotFault, writeSnapshot } from './snapshot.ts';
import type { Store } from './store.ts';

export interface SnapshotFileOptions {
  /** The name of the store, for the log. */
  readonly name: string;
  readonly store: Store;
  readonly path: string;
  readonly everySeconds: number;
  readonly seal: Seal;
  readonly log: Log;
  /** The file is read after this promise, because another store may still be writing it. */
  readonly after?: Promise<unknown>;
  /** How long after a purge the file is written, in milliseconds. */
  readonly soonMs?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Small, so that reading one chunk delays no request. */
const readBytes = 64 * 1024;
/** Purged entries leave the file soon, so that they do not come back after the process is killed. */
const usualSoonMs = 1000;

/**
 * Saves a store's entries in a file. It reads the file once, in the background, and writes it
 * periodically, after a purge and at the end of the process. Reads and writes never overlap.
 */
export class SnapshotFile {
  readonly #options: SnapshotFileOptions;
  readonly #now: () => number;
  readonly #begunAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | null = null;
  #work: Promise<void>;
  /** A save that has not begun. Further saves join it. */
  #waiting: Promise<void> | null = null;
  /** The existing file was not read to its end. */
  #isUnread = false;
  #isFailing = false;
  #isStopped = false;
  /** Another store owns the file. */
  #isHandedOver = false;
  /** The state of the entries when they were last written, to detect changes. Null before the first write or complete read. */
  #written: string | null = null;

  /** How often an entry was set: a replacement of the same size changes nothing else. */
  #changes = 0;

  constructor(options: SnapshotFileOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#work = this.#load();
    this.#timer = setInterval(() => void this.save(), options.everySeconds * 1000).unref();
  }

  /** Resolves when the file has been read. */
  get loaded(): Promise<void> {
    return this.#work;
  }

  /** Writes the file if the entries have changed, after any read or write under way. Never rejects. */
  save(): Promise<void> {
    this.#waiting ??= this.#work = this.#work.then(() => {
      this.#waiting = null;
      return this.#save();
    });
    return this.#waiting;
  }

  /** Records that an entry was set, so that the next save writes the file. */
  changed(): void {
    this.#changes++;
  }

  /** Schedules a save, after a purge. */
  saveSoon(): void {
    if (this.#soon !== null || this.#isStopped) return;
    this.#soon = setTimeout(() => {
      this.#soon = null;
      this.#written = '';
      void this.save();
    }, this.#options.soonMs ?? usualSoonMs).unref();
  }

  /** Saves, then leaves the file to another store. */
  async handOver(): Promise<void> {
    await this.save();
    this.#isHandedOver = true;
  }

  /** Takes the file back from another store. */
  takeBack(): void {
    this.#isHandedOver = false;
    this.#written = '';
  }

  /** Stops reading and writing. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    if (this.#soon !== null) clearTimeout(this.#soon);
  }

  async #load(): Promise<void> {
    const { name, store, path, seal, log, after } = this.#options;
    let count = 0;
    try {
      await after;
      const chunks = createReadStream(path, { highWaterMark: readBytes });
      for await (const { key, entry } of readSnapshot(chunks, seal)) {
        if (this.#isStopped) return;
        if (entry.expiresAt <= this.#now()) continue;
        // Entries stored and purges made since the start are newer than the file.
        await store.set(key, entry, this.#begunAt);
        count++;
      }
      // Requests may have stored other entries meanwhile, which are not in the file yet.
      const isSame = this.#changes === 0 && store.stats().entries === count;
      if (isSame) this.#written = this.#state();
      log.info(`llm-cache: store "${name}" has read ${count} entries from ${path}`);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      this.#isUnread = true;
      const why =
        error instanceof SnapshotFault ? error.message : `it cannot be read (${codeOf(error)})`;
      log.warn(
        `llm-cache: store "${name}" has read ${count} entries from ${path}, and no more: ${why}; the file will be kept as ${path}.unread`,
      );
    }
  }

  async #save(): Promise<void> {
    const { name, store, path, seal, log } = this.#options;
    const state = this.#state();
    const isEmpty = this.#written === null && store.stats().entries === 0;
    if (this.#isStopped || this.#isHandedOver || isEmpty || state === this.#written) return;
    const draft = `${path}.${process.pid}.tmp`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        for await (const piece of writeSnapshot(entriesOf(store), seal)) {
          // Unlike `write`, `appendFile` always writes all bytes.
          await file.appendFile(piece);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      if (this.#isUnread) await rename(path, `${path}.unread`).catch(ignoreMissing);
      this.#isUnread = false;
      await rename(draft, path);
      this.#written = state;
      if (this.#isFailing) log.info(`llm-cache: store "${name}" is written to ${path} again`);
      this.#isFailing = false;
    } catch (error) {
      await rm(draft, { force: true }).catch(() => {});
      if (!this.#isFailing) {
        log.error(`llm-cache: store "${name}" could not be written to ${path} (${codeOf(error)})`);
      }
      this.#isFailing = true;
    }
  }

  #state(): string {
    const { entries, bytes, evictions } = this.#options.store.stats();
    return `${entries} ${bytes} ${evictions} ${this.#changes}`;
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
