import process from 'node:process';

/**
 * Calls `flush`, which must not take long, when a signal tells the process to end. Then raises the
 * signal again, unless another listener also handles the signal and so owns the exit. `flushSync`
 * runs last, also when the process ends without a signal.
 */
export function flushAtExit(flush: () => Promise<void>, flushSync: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const onSignal = () => {
      const alone = process.listenerCount(signal) === 1;
      void flush().finally(() => {
        process.off(signal, onSignal);
        // A process that a signal ends emits no `exit` event.
        flushSync();
        if (alone) raise(signal);
      });
    };
    process.on(signal, onSignal);
  }
  process.once('exit', flushSync);
}

function raise(signal: 'SIGTERM' | 'SIGINT'): void {
  try {
    process.kill(process.pid, signal);
  } catch {
    // A runtime that may not signal itself exits with the status that a shell reports for the signal.
    process.exit(signal === 'SIGTERM' ? 143 : 130);
  }
}
