import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import process from 'node:process';
import type { Log } from '../../shared/log.ts';
import { entriesOf } from './entries-of.ts';
import type { Seal } from './seal.ts';
import { readSnapshot, SnapshotFault, writeSnapshot } from './snapshot.ts';
import type { Store } from './store.ts';

export interface SnapshotFileOptions {
  /** Of the store, for the log. */
  readonly name: string;
  readonly store: Store;
  readonly path: string;
  readonly everySeconds: number;
  readonly seal: Seal;
  readonly log: Log;
  /** What the file is read behind: another store may yet write it. */
  readonly after?: Promise<unknown>;
  /** How long after something was thrown out the file is written, in milliseconds. */
  readonly soonMs?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** So small that reading one piece delays no request. */
const readBytes = 64 * 1024;
/** What was thrown out leaves the file soon: a process that is killed must not bring it back. */
const usualSoonMs = 1000;

/**
 * A store's entries in a file: read once, in the background, and written every so often, when
 * something was thrown out, and at the end of the process. One thing after the other.
 */
export class SnapshotFile {
  readonly #options: SnapshotFileOptions;
  readonly #now: () => number;
  readonly #begunAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | null = null;
  #work: Promise<void>;
  /** A save that has not begun: one is as good as many. */
  #waiting: Promise<void> | null = null;
  /** There is a file that was not read, or not to its end. */
  #isUnread = false;
  #isFailing = false;
  #isStopped = false;
  /** Another store has the file. */
  #isHandedOver = false;
  /** What tells whether the entries have changed since they were written. */
  #written: string | null = null;

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

  /** Writes the file, when it has been read, where the entries have changed. Never rejects. */
  save(): Promise<void> {
    this.#waiting ??= this.#work = this.#work.then(() => {
      this.#waiting = null;
      return this.#save();
    });
    return this.#waiting;
  }

  /** Something was thrown out. */
  saveSoon(): void {
    if (this.#soon !== null || this.#isStopped) return;
    this.#soon = setTimeout(() => {
      this.#soon = null;
      this.#written = '';
      void this.save();
    }, this.#options.soonMs ?? usualSoonMs).unref();
  }

  /** Leaves the file to another store, with all that there is to write. */
  async handOver(): Promise<void> {
    await this.save();
    this.#isHandedOver = true;
  }

  /** Takes it back. */
  takeBack(): void {
    this.#isHandedOver = false;
    this.#written = '';
  }

  /** Neither reads nor writes any more. */
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
        // What was stored or thrown out since is newer.
        await store.set(key, entry, this.#begunAt);
        count++;
      }
      // Others may have been stored meanwhile.
      if (store.stats().entries === count) this.#written = this.#state();
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
    const isNothing = this.#written === null && store.stats().entries === 0;
    if (this.#isStopped || this.#isHandedOver || isNothing || state === this.#written) return;
    const draft = `${path}.${process.pid}.tmp`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        for await (const piece of writeSnapshot(entriesOf(store), seal)) {
          // All of it: `write` may take less.
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
    return `${entries} ${bytes} ${evictions}`;
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
