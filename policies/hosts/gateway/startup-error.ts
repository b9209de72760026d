import process from 'node:process';
import { inspect } from 'node:util';

/**
 * If `error`, which the caller throws next, is not caught, ends the process and prints only its
 * message, which would be hard to find below a stack trace. At a reload the gateway catches `error`.
 */
export function exitWithMessage(error: Error): void {
  const end = (thrown: unknown) => {
    process.stderr.write(`${thrown === error ? error.message : inspect(thrown)}\n`);
    process.exit(1);
  };
  process.once('uncaughtException', end);
  setImmediate(() => process.off('uncaughtException', end)).unref();
}
