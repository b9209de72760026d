import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { count, must, ratio, spread, type Table } from '../tools/figures.ts';

const times = 3;
const sizes = [
  [10_000, 2048],
  [100_000, 2048],
  [10_000, 300],
  [100_000, 300],
] as const;

interface Measured {
  readonly held: number;
  readonly rss: number;
  readonly counted: number;
  readonly entries: number;
}

const bytes = (value: number) => `${count(value)} B`;

/** Measures the memory that an entry takes besides its answer, and whether `maxBytes` counts it. */
export async function memory(): Promise<Table> {
  const rows = [];
  for (const [entries, size] of sizes) {
    const all: Measured[] = [];
    for (let time = 0; time < times; time++) all.push(await measure(entries, size));
    for (const { entries: found } of all) {
      must(Math.abs(found / entries - 1) < 0.02, `${entries} entries, and not ${found}`);
    }
    const over = (of: 'held' | 'rss') => all.map((one) => one[of] / one.entries - size);
    const counted = all.map((one) => one.counted);
    const held = all.map((one) => one.held);
    rows.push({
      what: `${entries} entries of ${size} B`,
      cells: [spread(over('held'), bytes), spread(over('rss'), bytes), ratio(held, counted)],
    });
  }
  return {
    title: 'Memory',
    note: 'A memory store filled past its bound, in a process of its own, after collecting garbage. An entry’s own bytes are its answer; the rest is its key, what the books know of it, and the store’s keeping, the memory of what it has thrown out included. What the store counts is what `maxBytes` bounds.',
    columns: ['', 'over its own bytes, heap and buffers', 'resident', 'held for each counted byte'],
    rows,
  };
}

async function measure(entries: number, size: number): Promise<Measured> {
  const args = ['--expose-gc', '--import=tsx', 'test/support/measure-memory-store.ts'];
  const { stdout } = await promisify(execFile)('node', [...args, String(entries), String(size)]);
  return JSON.parse(stdout) as Measured;
}
