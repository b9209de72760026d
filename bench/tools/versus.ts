import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Client } from './client.ts';
import { roundSeconds, rounds } from './figures.ts';
import type { LoadOrder } from './orders.ts';

/** One side of a comparison. */
export interface Side {
  readonly order: Omit<LoadOrder, 'kind' | 'seconds' | 'connections'>;
  /** The process whose processor time is measured; undefined if it is not known. */
  readonly pid?: number | undefined;
}

/** The results of one side, one value per round. */
export interface Rounds {
  readonly perSecond: number[];
  readonly p99: number[];
  /** Microseconds of processor time per request. */
  readonly cpu: number[];
}

export interface VersusOptions {
  readonly times?: number;
  readonly connections?: number;
}

/** Measures the sides in turn, and reverses their order every round. */
export async function versus<const S extends readonly Side[]>(
  client: Client,
  sides: S,
  { times = rounds, connections = 16 }: VersusOptions = {},
): Promise<{ [K in keyof S]: Rounds }> {
  const results = sides.map((): Rounds => ({ perSecond: [], p99: [], cpu: [] }));
  for (const side of sides) await warmUp(client, side, connections);
  for (let round = 0; round < times; round++) {
    const entries = [...sides.entries()];
    for (const [at, { order, pid }] of round % 2 === 0 ? entries : entries.toReversed()) {
      const before = cpuSeconds(pid);
      const result = await client.load({ ...order, connections, seconds: roundSeconds });
      const requests = result.perSecond * roundSeconds;
      results[at]?.perSecond.push(result.perSecond);
      results[at]?.p99.push(result.p99);
      results[at]?.cpu.push(((cpuSeconds(pid) - before) / requests) * 1e6);
    }
  }
  return results as { [K in keyof S]: Rounds };
}

// Node runs extra checks on the first ten thousand calls of a deprecated API that the gateway uses.
const warmRequests = 12_000;
const answered = new Map<number, number>();

/** Sends requests until V8 has compiled the hot code. */
export async function warmUp(client: Client, { order, pid = 0 }: Side, connections: number) {
  do {
    const { perSecond } = await client.load({ ...order, connections, seconds: roundSeconds });
    answered.set(pid, (answered.get(pid) ?? 0) + perSecond * roundSeconds);
  } while ((answered.get(pid) ?? 0) < warmRequests);
}

/** Returns the processor time of all threads of a process, in seconds; NaN if it is unknown. */
export function cpuSeconds(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return NaN;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The fields follow the name, which may contain spaces. Linux counts in hundredths of a second.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
