import * as fs from 'node:fs';

// What a file that is appended to ends with, compared with what was to be written to it.

/** The most bytes of one write, and of another writer's that may stand before it. */
export const batchBytes = 1024 * 1024;
/** How long the end of the process waits for a write that is under way. */
const settleMs = 1000;
export const lineEnd = Buffer.from('\n');

/** One write: whole lines, but for what of the first one is in the file already. */
export interface Batch {
  readonly bytes: Buffer;
  /** 1 where a line end goes ahead, because the file ends inside a line of another writer's; else 0. */
  readonly lead: number;
  /** The file as it was just before. */
  readonly at: fs.Stats;
}

/** How much of the first line in the queue is in which file, and where that file ended then. */
export interface Begun {
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

/** Whether the next byte goes right behind the part of the line that is out. */
export function continues(begun: Begun, at: fs.Stats): boolean {
  return isSame(begun, at) && (at.size === begun.end || !at.isFile());
}

/** Whether the file ends inside a line, as a killed process or a full disk leaves it. */
export function endsInLine(path: string, at: fs.Stats): boolean {
  if (!at.isFile() || at.size === 0) return false;
  const last = readAt(path, at, at.size - 1, 1);
  return last?.length === 1 && last[0] !== lineEnd[0];
}

/** How much of the batch is in the file once it is all there, or no more may be waited for. */
export function settledBytes(path: string, batch: Batch): number {
  const deadline = performance.now() + settleMs;
  while (true) {
    // What cannot be looked at (a pipe, a file that was moved) is taken as written.
    const landed = landedBytes(path, batch) ?? batch.bytes.length;
    if (landed === batch.bytes.length || performance.now() > deadline) return landed;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

/** How much of the batch is in the file now; null where that cannot be seen. */
export function landedBytes(path: string, { bytes, at }: Batch): number | null {
  const tail = readAt(path, at, at.size, bytes.length + batchBytes);
  if (tail === null) return null;
  // Another writer's lines may stand before it; a line's id is in its first bytes.
  const start = Math.max(0, tail.indexOf(bytes.subarray(0, 64)));
  return commonStart(tail.subarray(start), bytes);
}

function commonStart(one: Buffer, other: Buffer): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return length;
}

/** Bytes of that very file; null where it is no regular file, no longer has the name or cannot be read. */
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
