import type { Log } from '../../shared/log.ts';
import type { SinkStats } from './sink.ts';

/** What the log calls a sink's target. */
export interface TroubleWords {
  /** `/var/log/usage.jsonl`, `the Redis stream llm-cache:usage` */
  readonly target: string;
  /** What fails: `write /var/log/usage.jsonl`. */
  readonly action: string;
}

/** Counts a sink's failures and losses, and logs a trouble once when it begins and once when it ends. */
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

  /** Records dropped in the trouble that lasts. */
  get droppedNow(): number {
    return this.#dropped - this.#droppedBefore;
  }

  /** A try has failed, and the records wait for the next. */
  failed(reason: string): void {
    this.#failures++;
    if (this.#state === 'failing') return;
    this.#state = 'failing';
    this.say('error', `cannot ${this.#words.action} (${reason}); records wait and are tried again`);
  }

  /** The last try of the process has failed. */
  failedAtEnd(reason: string, lost: number): void {
    this.#failures++;
    this.say(
      'error',
      `cannot ${this.#words.action} (${reason}) at the end; ${lost} records are not in it`,
    );
  }

  /** A record found no room, and is dropped. */
  overrun(): void {
    this.#dropped++;
    if (this.#state !== null) return;
    this.#state = 'overrun';
    this.say('error', `records come faster than ${this.#words.target} takes them; some are lost`);
  }

  /** Everything that waited has been handed over. */
  recovered(): void {
    if (this.#state === null) return;
    this.#state = null;
    const lost = this.droppedNow;
    this.#droppedBefore = this.#dropped;
    this.say('warn', `${this.#words.target} is written again; ${lost} records were dropped`);
  }

  say(level: 'warn' | 'error', message: string): void {
    try {
      this.#log[level](`llm-usage: ${message}`);
    } catch {
      // A logger that fails must not stop the records.
    }
  }
}
