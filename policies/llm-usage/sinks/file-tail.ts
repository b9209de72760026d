import * as fs from 'node:fs';

// Inspects the end of a file that several writers append to, to find how much of a write landed.

/** The maximum size of one write, and of another writer's data that may precede it. */
export const batchBytes = 1024 * 1024;
/** How long the shutdown waits for a write in flight. */
const settleMs = 1000;
export const lineEnd = Buffer.from('\n');

/** One write: whole lines, except for the part of the first line that is already in the file. */
export interface Batch {
  readonly bytes: Buffer;
  /** 1 if a line end goes first, because the file ends inside another writer's line; else 0. */
  readonly lead: number;
  /** The file's state just before the write. */
  readonly at: fs.Stats;
}

/**
 * The file that has a part of the first queued line, the bytes written, and where the file ended
 * then.
 */
export interface PartialLine {
  readonly written: number;
  readonly dev: number;
  readonly ino: number;
  readonly end: number;
}

export function isSame(
  one: { dev: number; ino: number },
  other: { dev: number; ino: number },
): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

/** Whether the next byte would directly follow the partial line. */
export function endsWithPartial(partial: PartialLine, at: fs.Stats): boolean {
  return isSame(partial, at) && (at.size === partial.end || !at.isFile());
}

/** Whether the file ends inside a line, as a killed process or a full disk leaves it. */
export function endsInLine(path: string, at: fs.Stats): boolean {
  if (!at.isFile() || at.size === 0) return false;
  const last = readAt(path, at, at.size - 1, 1);
  return last?.length === 1 && last[0] !== lineEnd[0];
}

/** Waits, bounded in time, until the batch is in the file. Returns the number of its bytes there. */
export function settledBytes(path: string, batch: Batch): number {
  const deadline = performance.now() + settleMs;
  while (true) {
    // A target that cannot be read (a pipe, a moved file) counts as written.
    const landed = landedBytes(path, batch) ?? batch.bytes.length;
    if (landed === batch.bytes.length || performance.now() > deadline) return landed;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

/** Returns how many bytes of the batch are in the file now, or null if the file cannot be read. */
export function landedBytes(path: string, { bytes, at }: Batch): number | null {
  const tail = readAt(path, at, at.size, bytes.length + batchBytes);
  if (tail === null) return null;
  // Another writer's lines may precede it. The first bytes contain the record's unique id.
  const start = Math.max(0, tail.indexOf(bytes.subarray(0, 64)));
  return commonStart(tail.subarray(start), bytes);
}

function commonStart(one: Buffer, other: Buffer): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return length;
}

/** Reads bytes of that file; null if it is not regular, no longer at this path, or unreadable. */
function readAt(path: string, of: fs.Stats, position: number, length: number): Buffer | null {
  if (!of.isFile()) return null;
  let fd: number | null = null;
  try {
    fd = fs.openSync(path, 'r');
    const now = fs.fstatSync(fd);
    if (!isSame(now, of)) return null;
    const bytes = Buffer.alloc(Math.min(length, Math.max(0, now.size - position)));
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, position));
  } catch {
    return null;
  } finally {
    if (fd !== null) fs.closeSync(fd);
  }
}
