import { readFileSync } from 'node:fs';
import { isObject } from '../../policies/shared/json/json.ts';
import type { Ask, Trace } from './trace.ts';

/**
 * Reads a trace of `{at, key, bytes, cost}` lines: `at` is a time or milliseconds, `bytes` and `cost`
 * are numbers. Throws if a line is invalid.
 */
export function readTrace(path: string): Trace {
  const lines = readFileSync(path, 'utf8').split('\n');
  const asks = lines.flatMap((line, index) =>
    line.trim() === '' ? [] : [readAsk(line, `${path}, line ${index + 1}`)],
  );
  if (asks.length === 0) throw new Error(`${path} has no request`);
  const sorted = asks.toSorted((one, other) => one.at - other.at);
  const first = sorted[0]?.at ?? 0;
  const moved = sorted.map((ask) => ({ ...ask, at: ask.at - first }));
  return { name: path, law: 'as it was asked', asks: moved };
}

function readAsk(line: string, where: string): Ask {
  let read: unknown;
  try {
    read = JSON.parse(line);
  } catch {
    throw new Error(`${where}: not valid JSON`);
  }
  if (!isObject(read)) throw new Error(`${where}: not an object`);
  const { at, key, bytes, cost } = read;
  const time = typeof at === 'number' ? at : Date.parse(String(at));
  if (!Number.isFinite(time)) throw new Error(`${where}: "at" is neither a time nor milliseconds`);
  if (typeof key !== 'string' && typeof key !== 'number') {
    throw new Error(`${where}: "key" is neither a string nor a number`);
  }
  return {
    at: time,
    key: String(key),
    bytes: numberIn(bytes, `${where}: "bytes"`),
    cost: numberIn(cost, `${where}: "cost"`),
  };
}

function numberIn(value: unknown, what: string): number {
  // A usage record has a null cost if the cost is unknown.
  const number = value === null ? 0 : value;
  if (typeof number === 'number' && number >= 0) return number;
  throw new Error(`${what} is not a number of at least 0`);
}
