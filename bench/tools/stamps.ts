import process from 'node:process';
import { streamOf } from '../reliability/scenario.ts';

// Events that say when they were written, by the machine's own clock, which all processes share.

const stamp = /"@(\d+)"/g;

/** What streams of `events` stamped events are made of; the last two are the protocol's ending. */
export function stampedEvent(): string {
  return streamOf([`@${process.hrtime.bigint()}`])[0] ?? '';
}

export const ending = streamOf([]);

export function readStamps(bytes: Buffer): bigint[] {
  return [...bytes.toString('latin1').matchAll(stamp)].map(([, digits]) => BigInt(digits ?? 0));
}
