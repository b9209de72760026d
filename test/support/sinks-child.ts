// A process with a sink, which ends in the way that its second argument names.
import * as fs from 'node:fs';
import process from 'node:process';
import { JsonlSink } from '../../policies/llm-usage/sinks/jsonl.ts';
import { quietLog, record } from './sinks-records.ts';

const [, , path = '', ending = ''] = process.argv;

/** Starts the write, and exits the process before its callback can run. */
function exitDuringWrite(fd: number, bytes: Buffer): Promise<number> {
  return new Promise(() => {
    fs.write(fd, bytes, () => {});
    process.exit();
  });
}

const sink = new JsonlSink({
  path,
  log: quietLog,
  ...(ending === 'exit during a write' && {
    writer: { write: exitDuringWrite, writeSync: (fd, bytes) => fs.writeSync(fd, bytes) },
  }),
});
process.on('exit', () => {
  if (ending !== 'nothing left to do') sink.flushSync();
});
for (let n = 0; n < 1000; n++) sink.record(record(n));

if (ending === 'exit at once') process.exit();
void sink.flush().then(() => {
  fs.writeSync(1, 'flushed');
});
