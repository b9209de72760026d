import { expect } from 'chai';
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import {
  JsonlSink,
  type JsonlSinkOptions,
  type Writer,
} from '../../../policies/llm-usage/sinks/jsonl.ts';
import { logSink } from '../../../policies/llm-usage/sinks/log.ts';
import { keptLog, quietLog, record } from '../../support/sinks-records.ts';
import { eventually } from '../../support/eventually.ts';

/** Writes like node:fs, but at most `most` bytes at once. */
function shortWriter(most: number): Writer {
  return {
    write: async (fd, bytes) => fs.writeSync(fd, bytes.subarray(0, most)),
    writeSync: (fd, bytes) => fs.writeSync(fd, bytes.subarray(0, most)),
  };
}

/** Simulates a disk with `room` bytes left: writes what fits, then fails like a full disk. */
class SmallDisk implements Writer {
  room: number;
  /** Whether a write that fits only in part fails without reporting that part, as in Deno. */
  readonly #failsInPart: boolean;

  constructor(room: number, failsInPart = false) {
    this.room = room;
    this.#failsInPart = failsInPart;
  }

  async write(fd: number, bytes: Buffer): Promise<number> {
    return this.writeSync(fd, bytes);
  }

  writeSync(fd: number, bytes: Buffer): number {
    const written = this.room === 0 ? 0 : fs.writeSync(fd, bytes.subarray(0, this.room));
    this.room -= written;
    if (written === 0 || (this.#failsInPart && written < bytes.length)) {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    }
    return written;
  }
}

/** Returns the numbers of the records in the file. Throws if a line is not a record. */
function recordsIn(path: string): number[] {
  const text = fs.readFileSync(path, 'utf8');
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line is torn');
  return numbers(text.split('\n').slice(0, -1));
}

function numbers(lines: readonly string[]): number[] {
  return lines.map((line) => Number((JSON.parse(line) as { id: string }).id.slice(7)));
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

/** Whether this process holds a descriptor of that file. */
function isHeld(path: string): boolean {
  return fs.readdirSync('/proc/self/fd').some((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  });
}

const lineBytes = Buffer.byteLength(JSON.stringify(record(0))) + 1;

describe('The log sink', () => {
  it('The log sink writes a record as one line of JSON after its name', () => {
    const log = keptLog();
    logSink(log).record(record(1));
    expect(log.lines).to.deep.equal([`info llm-usage ${JSON.stringify(record(1))}`]);
    expect(log.lines[0]).not.to.include('\n');
  });

  it('The log sink catches and counts errors of the logger', () => {
    const info = () => {
      throw new Error('the transport is closed');
    };
    const sink = logSink({ ...quietLog, info });
    sink.record(record(1));
    sink.record(record(2));
    expect(sink.stats()).to.deep.equal({ dropped: 2, failures: 2 });
  });

  it('The log sink counts nothing while the logger works', () => {
    const sink = logSink(quietLog);
    sink.record(record(1));
    expect(sink.stats()).to.deep.equal({ dropped: 0, failures: 0 });
  });
});

describe('The jsonl sink', () => {
  let dir: string;
  let path: string;
  let log: ReturnType<typeof keptLog>;
  let sinks: JsonlSink[];

  beforeEach(() => {
    dir = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'llm-cache-sinks-')));
    path = join(dir, 'usage.jsonl');
    log = keptLog();
    sinks = [];
  });

  afterEach(async () => {
    for (const sink of sinks) await sink.close();
    fs.rmSync(dir, { recursive: true, force: true });
  });

  function open(options: Partial<JsonlSinkOptions> = {}): JsonlSink {
    const sink = new JsonlSink({ path, log, ...options });
    sinks.push(sink);
    return sink;
  }

  function add(sink: JsonlSink, from: number, to: number): void {
    for (let n = from; n < to; n++) sink.record(record(n));
  }

  describe('Writing', () => {
    it('The jsonl sink appends one record per line, in order, to what the file has', async () => {
      fs.writeFileSync(path, `${JSON.stringify(record(0))}\n`);
      const sink = open();
      add(sink, 1, 500);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal(range(500));
      expect(JSON.parse(fs.readFileSync(path, 'utf8').split('\n')[7] ?? '')).to.deep.equal(
        record(7),
      );
    });

    it('The jsonl sink makes a file that only its owner can read', async () => {
      const sink = open();
      add(sink, 0, 1);
      await sink.flush();
      expect(fs.statSync(path).mode & 0o777).to.equal(0o600);
    });

    it('The jsonl sink writes without being flushed', async () => {
      add(open(), 0, 3);
      await eventually(() => fs.existsSync(path) && fs.statSync(path).size > 0, 'a write');
      expect(recordsIn(path)).to.deep.equal(range(3));
    });

    it('The jsonl sink joins the records of a moment into one write of whole lines', async () => {
      const writes: string[] = [];
      const sink = open({
        writer: {
          ...shortWriter(Infinity),
          write: async (fd, bytes) => {
            writes.push(bytes.toString());
            return fs.writeSync(fd, bytes);
          },
        },
      });
      add(sink, 0, 200);
      await sink.flush();
      expect(writes).to.have.length(1);
      expect(numbers(writes[0]?.split('\n').slice(0, -1) ?? [])).to.deep.equal(range(200));
    });

    it('The jsonl sink flushes the records that came during a write too', async () => {
      const flushes: Promise<void>[] = [];
      const sink = open({
        writer: {
          ...shortWriter(Infinity),
          write: async (fd, bytes) => {
            if (flushes.length === 0) {
              add(sink, 1, 3);
              flushes.push(sink.flush());
            }
            return fs.writeSync(fd, bytes);
          },
        },
      });
      add(sink, 0, 1);
      await sink.flush();
      await Promise.all(flushes);
      expect(recordsIn(path)).to.deep.equal(range(3));
    });

    it('The jsonl sink goes on where a short write stopped', async () => {
      const sink = open({ writer: shortWriter(7) });
      add(sink, 0, 5);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal(range(5));
      expect(log.lines).to.deep.equal([]);
    });

    it('The jsonl sink rewrites a line when another writer interrupts it', async () => {
      let isFirst = true;
      const sink = open({
        writer: {
          ...shortWriter(Infinity),
          write: async (fd, bytes) => {
            const written = fs.writeSync(fd, bytes.subarray(0, isFirst ? 10 : Infinity));
            if (isFirst) fs.appendFileSync(path, 'other');
            isFirst = false;
            return written;
          },
        },
      });
      add(sink, 0, 2);
      await sink.flush();
      const lines = fs.readFileSync(path, 'utf8').split('\n');
      expect(lines[0]).to.match(/other$/);
      expect(numbers(lines.slice(1, -1))).to.deep.equal(range(2));
    });

    it('The jsonl sink starts a line of its own after one that a killed process left torn', async () => {
      fs.writeFileSync(path, '{"id":"record-');
      const sink = open();
      add(sink, 0, 1);
      await sink.flush();
      add(sink, 1, 2);
      await sink.flush();
      const lines = fs.readFileSync(path, 'utf8').split('\n');
      expect(lines[0]).to.equal('{"id":"record-');
      expect(numbers(lines.slice(1, -1))).to.deep.equal([0, 1]);
    });

    it('The jsonl sink shares its file with another writer', async () => {
      const one = open();
      const other = open();
      for (let n = 0; n < 40; n += 2) {
        add(one, n, n + 1);
        add(other, n + 1, n + 2);
        await Promise.all([one.flush(), other.flush()]);
      }
      expect(recordsIn(path).toSorted((a, b) => a - b)).to.deep.equal(range(40));
    });
  });

  describe('Log rotation', () => {
    it('The jsonl sink reopens its file after a move', async () => {
      const sink = open();
      add(sink, 0, 1);
      await sink.flush();
      fs.renameSync(path, `${path}.1`);
      add(sink, 1, 2);
      await sink.flush();
      fs.renameSync(path, `${path}.2`);
      fs.writeFileSync(path, '');
      add(sink, 2, 3);
      await sink.flush();
      expect([`${path}.1`, `${path}.2`, path].map(recordsIn)).to.deep.equal([[0], [1], [2]]);
      expect(isHeld(`${path}.1`)).to.equal(false);
    });

    it('The jsonl sink reopens its file after a removal', async () => {
      const sink = open();
      add(sink, 0, 1);
      await sink.flush();
      fs.unlinkSync(path);
      add(sink, 1, 2);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal([1]);
    });

    it('The jsonl sink goes on at the start of a file that was truncated', async () => {
      const sink = open();
      add(sink, 0, 3);
      await sink.flush();
      fs.truncateSync(path);
      add(sink, 3, 4);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal([3]);
    });
  });

  describe('A file that cannot be written', () => {
    it('The jsonl sink keeps the records while the disk is full, and logs the start and end of that once', async () => {
      fs.symlinkSync('/dev/full', path);
      const sink = open({ retryMs: 5 });
      add(sink, 0, 2);
      await sink.flush();
      add(sink, 2, 3);
      await sink.flush();
      expect(log.lines).to.have.length(1);
      expect(log.lines[0])
        .to.match(/^error /)
        .and.include(path)
        .and.include('ENOSPC');

      fs.symlinkSync(join(dir, 'other-disk.jsonl'), `${path}.new`);
      fs.renameSync(`${path}.new`, path);
      await eventually(() => log.lines.length > 1, 'a word that it works again');
      expect(recordsIn(path)).to.deep.equal(range(3));
      expect(log.lines).to.have.length(2);
      expect(log.lines[1]).to.include('0 records were dropped');
    });

    it('The jsonl sink retries until a missing directory is there', async () => {
      const inside = join(dir, 'logs', 'usage.jsonl');
      const sink = open({ path: inside, retryMs: 5 });
      add(sink, 0, 2);
      await sink.flush();
      expect(log.lines.join()).to.include('ENOENT');
      fs.mkdirSync(join(dir, 'logs'));
      await eventually(() => log.lines.length > 1, 'a word that it works again');
      expect(recordsIn(inside)).to.deep.equal(range(2));
    });

    it('The jsonl sink throws no error, whatever the path is', async () => {
      const sink = open({ path: dir });
      add(sink, 0, 1);
      await sink.flush();
      sink.flushSync();
      await sink.close();
      expect(log.lines[0]).to.include('EISDIR');
    });

    it('The jsonl sink works with a logger that throws', async () => {
      const fail = () => {
        throw new Error('the transport is closed');
      };
      const disk = new SmallDisk(0);
      const sink = open({ writer: disk, log: { info: fail, warn: fail, error: fail } });
      add(sink, 0, 1);
      await sink.flush();
      disk.room = Infinity;
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal([0]);
    });

    it('The jsonl sink drops and counts the newest records past its bound', async () => {
      const disk = new SmallDisk(0);
      const sink = open({ writer: disk, maxQueuedBytes: 4 * lineBytes });
      add(sink, 0, 2);
      await sink.flush();
      add(sink, 2, 7);
      expect(sink.dropped).to.equal(3);

      disk.room = Infinity;
      await sink.flush();
      add(sink, 7, 8);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal([0, 1, 2, 3, 7]);
      expect(log.lines).to.have.length(2);
      expect(log.lines[1]).to.include(' 3 records were dropped');
      expect(sink.dropped).to.equal(3);

      add(sink, 3, 8);
      await sink.flush();
      expect(log.lines[3]).to.include(' 1 records were dropped');
      expect(sink.dropped).to.equal(4);
    });

    it('The jsonl sink counts dropped records and failed writes', async () => {
      const disk = new SmallDisk(0);
      const sink = open({ writer: disk, maxQueuedBytes: 2 * lineBytes });
      expect(sink.stats()).to.deep.equal({ dropped: 0, failures: 0 });
      add(sink, 0, 3);
      await sink.flush();
      await sink.flush();
      sink.flushSync();
      expect(sink.stats()).to.deep.equal({ dropped: 1, failures: 3 });
      disk.room = Infinity;
      await sink.flush();
      expect(sink.stats()).to.deep.equal({ dropped: 1, failures: 3 });
    });

    it('The jsonl sink logs that records are lost to a disk that is too slow', async () => {
      const sink = open({ maxQueuedBytes: 2 * lineBytes });
      add(sink, 0, 5);
      expect(log.lines).to.have.length(1);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal([0, 1]);
      expect(log.lines[1]).to.include('3 records were dropped');
    });

    for (const failsInPart of [false, true]) {
      const how = failsInPart ? 'fails without a count' : 'is short';
      it(`The jsonl sink completes the line that a full disk tore, where the write ${how}`, async () => {
        const disk = new SmallDisk(lineBytes + 10, failsInPart);
        const sink = open({ writer: disk });
        add(sink, 0, 3);
        await sink.flush();
        expect(fs.statSync(path).size).to.equal(lineBytes + 10);
        disk.room = 5;
        await sink.flush();
        disk.room = 10;
        sink.flushSync();
        disk.room = Infinity;
        sink.flushSync();
        expect(recordsIn(path)).to.deep.equal(range(3));
      });
    }

    it('The jsonl sink rewrites a torn line when its beginning was moved or cut away', async () => {
      const disk = new SmallDisk(10);
      const sink = open({ writer: disk });
      add(sink, 0, 1);
      await sink.flush();
      fs.truncateSync(path);
      disk.room = 10;
      await sink.flush();
      fs.renameSync(path, `${path}.1`);
      disk.room = Infinity;
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal([0]);
    });

    it('The jsonl sink rewrites a torn line when another writer wrote after its beginning', async () => {
      const disk = new SmallDisk(10);
      const sink = open({ writer: disk });
      add(sink, 0, 1);
      await sink.flush();
      fs.appendFileSync(path, 'other');
      disk.room = Infinity;
      await sink.flush();
      const lines = fs.readFileSync(path, 'utf8').split('\n');
      expect(lines[0]).to.match(/^\{"id":"reco?other$/);
      expect(numbers(lines.slice(1, -1))).to.deep.equal([0]);
    });
  });

  describe('At rest', () => {
    it('The jsonl sink keeps its file open between writes, and closes it when idle', async () => {
      const sink = open();
      add(sink, 0, 1);
      await sink.flush();
      expect(isHeld(path)).to.equal(true);

      const idle = open({ path: `${path}.idle`, idleMs: 1 });
      for (let n = 0; n < 2; n++) {
        add(idle, n, n + 1);
        await idle.flush();
        await eventually(() => !isHeld(`${path}.idle`), 'letting go of the file');
      }
      expect(recordsIn(`${path}.idle`)).to.deep.equal(range(2));
    });

    it('The jsonl sink holds no file before its first record or after it was closed', async () => {
      const sink = open();
      await sink.flush();
      expect(fs.existsSync(path)).to.equal(false);
      add(sink, 0, 1);
      await sink.close();
      expect(isHeld(path)).to.equal(false);
      add(sink, 1, 2);
      await sink.close();
      expect(recordsIn(path)).to.deep.equal(range(2));
    });
  });

  describe('The last flush', () => {
    it('The jsonl sink has written everything when flushSync returns', () => {
      const sink = open({ writer: shortWriter(100) });
      add(sink, 0, 50);
      sink.flushSync();
      expect(recordsIn(path)).to.deep.equal(range(50));
      sink.flushSync();
      expect(recordsIn(path)).to.deep.equal(range(50));
      expect(isHeld(path)).to.equal(false);
    });

    it('The jsonl sink writes the rest of a torn line in flushSync', async () => {
      const disk = new SmallDisk(lineBytes + 10);
      const sink = open({ writer: disk });
      add(sink, 0, 3);
      await sink.flush();
      disk.room = Infinity;
      sink.flushSync();
      expect(recordsIn(path)).to.deep.equal(range(3));
    });

    it('The jsonl sink logs what is lost when flushSync cannot write', async () => {
      const sink = open({ writer: new SmallDisk(0), maxQueuedBytes: 2 * lineBytes });
      add(sink, 0, 3);
      sink.flushSync();
      expect(log.lines.at(-1)).to.include('ENOSPC').and.include('3 records');
    });

    it('The jsonl sink waits in flushSync for a write under way, and writes only what came after it', async () => {
      const sink = open({
        writer: {
          ...shortWriter(Infinity),
          write: (fd, bytes) =>
            new Promise((resolve, reject) => {
              fs.write(fd, bytes, (error, written) => (error ? reject(error) : resolve(written)));
              add(sink, 10, 20);
              sink.flushSync();
              expect(recordsIn(path)).to.deep.equal(range(20));
              add(sink, 20, 21);
            }),
        },
      });
      add(sink, 0, 10);
      await sink.flush();

      // The late callback of that write has removed nothing from the queue.
      sink.flushSync();
      expect(recordsIn(path)).to.deep.equal(range(21));
    });

    it('The jsonl sink finishes a write in flushSync that stopped inside a line', async () => {
      const sink = open({
        writer: {
          ...shortWriter(Infinity),
          write: async (fd, bytes) => {
            const written = fs.writeSync(fd, bytes.subarray(0, lineBytes + 10));
            sink.flushSync();
            return written;
          },
        },
      });
      add(sink, 0, 5);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal(range(5));
    });

    it('The jsonl sink writes a batch in flushSync when the write under way fails', async () => {
      const sink = open({
        writer: {
          ...shortWriter(Infinity),
          write: async () => {
            sink.flushSync();
            throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
          },
        },
      });
      add(sink, 0, 5);
      await sink.flush();
      expect(recordsIn(path)).to.deep.equal(range(5));
      expect(log.lines).to.deep.equal([]);
    });
  });

  describe('The end of the process', () => {
    interface Ended {
      readonly error: Error | null;
      readonly output: string;
    }

    function run(ending: string, file = path): Promise<Ended> {
      const loader = 'Deno' in globalThis ? ['run', '-A'] : ['--import', 'tsx'];
      const args = [...loader, join('test', 'support', 'sinks-child.ts'), file, ending];
      return new Promise((resolve) => {
        execFile(process.execPath, args, { timeout: 15_000 }, (error, stdout, stderr) =>
          resolve({ error, output: stdout + stderr }),
        );
      });
    }

    it('The jsonl sink loses nothing when the process exits right after the last record', async () => {
      expect(await run('exit at once')).to.deep.equal({ error: null, output: '' });
      expect(recordsIn(path)).to.deep.equal(range(1000));
    });

    it('The jsonl sink writes no line twice or in part when the process exits during a write', async () => {
      expect(await run('exit during a write')).to.deep.equal({ error: null, output: '' });
      expect(recordsIn(path)).to.deep.equal(range(1000));
    });

    it('The jsonl sink keeps no process alive by its open file, yet its flush ends', async () => {
      expect(await run('nothing left to do')).to.deep.equal({ error: null, output: 'flushed' });
      expect(recordsIn(path)).to.deep.equal(range(1000));
    });

    it('The jsonl sink keeps no process alive by records that it cannot write, yet its flush ends', async () => {
      const nowhere = join(dir, 'missing', 'usage.jsonl');
      const ended = await run('nothing left to do', nowhere);
      expect(ended).to.deep.equal({ error: null, output: 'flushed' });
    });
  });
});
