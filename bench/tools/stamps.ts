import process from 'node:process';
import { streamOf } from '../reliability/scenario.ts';

// Events that contain the time of their writing, by the machine's clock, which all processes share.

const stamp = /"@(\d+)"/g;

/** Returns an event stamped with the current time. A stream of them finishes with `ending`. */
export function stampedEvent(): string {
  return streamOf([`@${process.hrtime.bigint()}`])[0] ?? '';
}

export const ending = streamOf([]);

export function readStamps(bytes: Buffer): bigint[] {
  return [...bytes.toString('latin1').matchAll(stamp)].map(([, digits]) => BigInt(digits ?? 0));
}
