import type { Log } from './log.ts';

const quietMs = 60_000;

/** Logs each fault once, and then at most once a minute with the number of repeats. */
export class FaultLog {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #seen = new Map<string, { loggedAt: number; repeats: number }>();

  constructor(log: Log, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /**
   * `place` is one of a few fixed names. The line has the error's name, code and first stack frame,
   * never its message, which may quote a body.
   */
  report(place: string, error: unknown): void {
    // The code that threw it has logged it.
    if (error instanceof Error && 'isReported' in error) return;
    const known = this.#seen.get(place);
    if (known !== undefined && this.#now() - known.loggedAt < quietMs) {
      known.repeats++;
      return;
    }
    this.#seen.set(place, { loggedAt: this.#now(), repeats: 0 });
    const more = known?.repeats ? ` (and ${known.repeats} more since the last report)` : '';
    this.#log.error(`${place}: ${describe(error)}${more}`);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error';
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : '';
  const at = /^\s+at (.*)$/m.exec(framesOf(error))?.[1];
  return `${error.name}${code}${at === undefined ? '' : ` at ${at}`}`;
}

/** Returns the stack without its leading message. */
function framesOf(error: Error): string {
  const { stack = '', message } = error;
  const at = stack.indexOf(message);
  return at < 0 ? '' : stack.slice(at + message.length);
}
