import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Client } from './client.ts';
import { roundSeconds, rounds } from './figures.ts';
import type { LoadOrder } from './orders.ts';

/** One side of a comparison. */
export interface Side {
  readonly order: Omit<LoadOrder, 'kind' | 'seconds' | 'connections'>;
  /** The process that works; where it is known, the time that it takes of a processor is counted. */
  readonly pid?: number | undefined;
}

/** Of one side, a value a round. */
export interface Rounds {
  readonly perSecond: number[];
  readonly p99: number[];
  /** Microseconds of a processor for a request. */
  readonly cpu: number[];
}

export interface VersusOptions {
  readonly times?: number;
  readonly connections?: number;
}

/** Measures the sides one after the other, again and again, each time in the other order. */
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

// Node looks more closely at the first ten thousand calls of an old API that the gateway uses.
const warmRequests = 12_000;
const answered = new Map<number, number>();

/** Asks until nothing is compiled any more. */
export async function warmUp(client: Client, { order, pid = 0 }: Side, connections: number) {
  do {
    const { perSecond } = await client.load({ ...order, connections, seconds: roundSeconds });
    answered.set(pid, (answered.get(pid) ?? 0) + perSecond * roundSeconds);
  } while ((answered.get(pid) ?? 0) < warmRequests);
}

/** All threads of a process, user and system; NaN where that cannot be told. */
export function cpuSeconds(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return NaN;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // Behind the name, which may have spaces in it; in hundredths of a second on every Linux.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
