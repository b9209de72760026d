// A process with a sink in it, which ends as its second argument says.
import * as fs from 'node:fs';
import process from 'node:process';
import { JsonlSink } from '../../policies/llm-usage/sinks/jsonl.ts';
import { quietLog, record } from './sinks-records.ts';

const [, , path = '', ending = ''] = process.argv;

/** Hands the write to the system, and ends the process before the answer can come. */
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
