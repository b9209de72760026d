import type { Log } from '../../shared/log.ts';
import type { SinkStats } from './sink.ts';

/** How log messages name a sink's target and action. */
export interface TroubleWords {
  /** For example `/var/log/usage.jsonl` or `the Redis stream llm-cache:usage`. */
  readonly target: string;
  /** Completes “cannot …”: `write /var/log/usage.jsonl`. */
  readonly action: string;
}

/**
 * Counts a sink's failures and dropped records. Logs each trouble once when it begins and once when
 * it ends.
 */
export class TroubleLog {
  readonly #log: Log;
  readonly #words: TroubleWords;
  #state: 'overrun' | 'failing' | null = null;
  #dropped = 0;
  #droppedBefore = 0;
  #failures = 0;

  constructor(log: Log, words: TroubleWords) {
    this.#log = log;
    this.#words = words;
  }

  stats(): SinkStats {
    return { dropped: this.#dropped, failures: this.#failures };
  }

  /** Records dropped in the current trouble. */
  get droppedNow(): number {
    return this.#dropped - this.#droppedBefore;
  }

  /** Notes a failed attempt; the records wait for the next. */
  failed(reason: string): void {
    this.#failures++;
    if (this.#state === 'failing') return;
    this.#state = 'failing';
    this.say('error', `cannot ${this.#words.action} (${reason}); records wait for a retry`);
  }

  /** Notes that the last attempt before the process exits has failed. */
  failedAtEnd(reason: string, lost: number): void {
    this.#failures++;
    this.say(
      'error',
      `cannot ${this.#words.action} (${reason}) at exit; ${lost} records are missing from it`,
    );
  }

  /** Notes that a record was dropped because the queue is full. */
  overrun(): void {
    this.#dropped++;
    if (this.#state !== null) return;
    this.#state = 'overrun';
    this.say('error', `records arrive faster than ${this.#words.target} takes them; some are lost`);
  }

  /** Notes that the whole queue has been handed over. */
  recovered(): void {
    if (this.#state === null) return;
    this.#state = null;
    const lost = this.droppedNow;
    this.#droppedBefore = this.#dropped;
    this.say('warn', `${this.#words.target} works again; ${lost} records were dropped`);
  }

  say(level: 'warn' | 'error', message: string): void {
    try {
      this.#log[level](`llm-usage: ${message}`);
    } catch {
      // A failing logger must not stop the records.
    }
  }
}
