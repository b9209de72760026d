import process from 'node:process';
import { inspect } from 'node:util';

/**
 * Ends the process with the sentence of `error` alone if `error`, which the caller throws next, stays
 * uncaught: behind a stack and a piece of code the sentence would be hard to find. At a reload the
 * gateway catches it.
 */
export function endWithSentence(error: Error): void {
  const end = (thrown: unknown) => {
    process.stderr.write(`${thrown === error ? error.message : inspect(thrown)}\n`);
    process.exit(1);
  };
  process.once('uncaughtException', end);
  setImmediate(() => process.off('uncaughtException', end)).unref();
}
