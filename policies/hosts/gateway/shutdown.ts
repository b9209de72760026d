import process from 'node:process';

/**
 * Flushes, which is not to take long, when the process is told to end, and then lets it end as it
 * would have: by the signal, unless another listener handles that signal too and so owns the exit.
 */
export function flushAtExit(flush: () => Promise<void>, flushSync: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const onSignal = () => {
      const alone = process.listenerCount(signal) === 1;
      void flush().finally(() => {
        process.off(signal, onSignal);
        // The signal ends the process without an `exit` event.
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
    // A runtime that may not signal itself ends with the status that a shell would show.
    process.exit(signal === 'SIGTERM' ? 143 : 130);
  }
}
