import type { Log } from './log.ts';

const quietMs = 60_000;

/** Says a fault in the log once, and then once a minute at most with how often it came. */
export class FaultLog {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #seen = new Map<string, { saidAt: number; unsaid: number }>();

  constructor(log: Log, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  /** `place` is one of our own few names; only the error's name and code are told, for its message may quote a body. */
  report(place: string, error: unknown): void {
    // What threw it has told the log.
    if (error instanceof Error && 'isReported' in error) return;
    const known = this.#seen.get(place);
    if (known !== undefined && this.#now() - known.saidAt < quietMs) {
      known.unsaid++;
      return;
    }
    this.#seen.set(place, { saidAt: this.#now(), unsaid: 0 });
    const more = known?.unsaid ? ` (and ${known.unsaid} more in the last minute)` : '';
    this.#log.error(`${place}: ${describe(error)}${more}`);
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error';
  const code = 'code' in error && typeof error.code === 'string' ? ` ${error.code}` : '';
  const at = /^\s+at (.*)$/m.exec(framesOf(error))?.[1];
  return `${error.name}${code}${at === undefined ? '' : ` at ${at}`}`;
}

/** The stack without the message that it begins with. */
function framesOf(error: Error): string {
  const { stack = '', message } = error;
  const at = stack.indexOf(message);
  return at < 0 ? '' : stack.slice(at + message.length);
}
