import { nextTurn } from '../../shared/turns.ts';
import { entryOf } from '../entry.ts';
import { Envelope, headEnd, isOtherVersion } from './envelope.ts';
import { proofBytes, type Seal } from './seal.ts';
import type { StoredEntry } from './store.ts';
import { bodyOf, lengthOf } from './stored-body.ts';

// Layout: "LLMCSNAP", version (1 byte), proof of the beginning (32). Then for each entry: the lengths
// of its key and its envelope (4 bytes each, big endian), the key (UTF-8), the envelope. At the end:
// the largest length twice, and the proof of the number of entries (32).
const magic = Buffer.from('LLMCSNAP');
const version = 1;
const beginBytes = magic.length + 1 + proofBytes;
const lengthsBytes = 8;
const endMark = 0xffffffff;
const noBytes = new Uint8Array();

const maxKeyBytes = 8 * 1024;
/** Larger entries are left out. */
const maxEnvelopeBytes = 128 * 1024 * 1024;
/** The size of a written piece, and how long the work may block the event loop. */
const pieceBytes = 64 * 1024;
const turnMs = 3;

/** Thrown when a snapshot cannot be read, or not to its end. The message says why. */
export class SnapshotFault extends Error {
  override name = 'SnapshotFault';
  readonly isReported = true;
}

/** Serializes entries for a file or a request body. The snapshot is sealed, and its end is verifiable. */
export async function* writeSnapshot(
  entries: AsyncIterable<StoredEntry>,
  seal: Seal,
): AsyncGenerator<Buffer, void> {
  const envelope = new Envelope(seal);
  let waiting: Uint8Array[] = [beginOf(seal)];
  let size = 0;
  let count = 0;
  let turnAt = performance.now();
  for await (const { key, entry } of entries) {
    const name = Buffer.from(key);
    const wrapped = envelope.wrap(key, entry);
    if (name.length > maxKeyBytes || wrapped.length > maxEnvelopeBytes) continue;
    // The head is too long.
    if (headEnd(wrapped) === undefined) continue;
    waiting.push(lengthsOf(name.length, wrapped.length), name, wrapped);
    size += name.length + wrapped.length;
    count++;
    if (size >= pieceBytes) {
      yield Buffer.concat(waiting);
      waiting = [];
      size = 0;
    }
    if (performance.now() - turnAt < turnMs) continue;
    await nextTurn();
    turnAt = performance.now();
  }
  waiting.push(lengthsOf(endMark, endMark), endOf(seal, count));
  yield Buffer.concat(waiting);
}

/** Yields the entries of a snapshot. Throws a SnapshotFault where it cannot be read further. */
export async function* readSnapshot(
  chunks: AsyncIterable<Uint8Array>,
  seal: Seal,
): AsyncGenerator<StoredEntry, void> {
  const bytes = new ByteReader(chunks);
  try {
    yield* entriesIn(bytes, seal);
  } finally {
    await bytes.close();
  }
}

async function* entriesIn(bytes: ByteReader, seal: Seal): AsyncGenerator<StoredEntry, void> {
  checkBegin(await bytes.take(beginBytes), seal);
  const envelope = new Envelope(seal);
  let turnAt = performance.now();
  for (let count = 0; ; count++) {
    if (performance.now() - turnAt > turnMs) {
      await nextTurn();
      turnAt = performance.now();
    }
    const lengths = await bytes.take(lengthsBytes);
    if (lengths === null) throw damaged(count);
    const [keyLength, wrappedLength] = [lengths.readUInt32BE(0), lengths.readUInt32BE(4)];
    if (keyLength === endMark && wrappedLength === endMark) {
      const end = await bytes.take(proofBytes);
      if (end === null || !isEnd(end, seal, count)) throw damaged(count);
      return;
    }
    if (keyLength > maxKeyBytes || wrappedLength > maxEnvelopeBytes) throw damaged(count);
    const name = await bytes.take(keyLength);
    const wrapped = await bytes.take(wrappedLength);
    if (name === null || wrapped === null) throw damaged(count);
    yield await entryIn(name.toString(), wrapped, envelope, count);
  }
}

async function entryIn(
  key: string,
  wrapped: Buffer,
  envelope: Envelope,
  count: number,
): Promise<StoredEntry> {
  const opened = envelope.open(key, wrapped);
  const stored = opened?.body(wrapped.subarray(opened.bodyStart));
  if (opened !== undefined && stored !== undefined && lengthOf(stored) <= maxEnvelopeBytes) {
    return { key, entry: entryOf(opened.head, await bodyOf(stored)) };
  }
  throw isOtherVersion(wrapped) ? otherVersion() : damaged(count);
}

function beginOf(seal: Seal): Buffer {
  const begin = Buffer.concat([magic, Buffer.of(version)]);
  return Buffer.concat([begin, seal.seal(['snapshot', begin], noBytes).proof]);
}

function checkBegin(begin: Buffer | null, seal: Seal): void {
  if (begin === null || !begin.subarray(0, magic.length).equals(magic)) {
    throw new SnapshotFault('it is not a cache snapshot');
  }
  if (begin[magic.length] !== version) throw otherVersion();
  const proof = begin.subarray(magic.length + 1);
  const place = ['snapshot', begin.subarray(0, magic.length + 1)];
  if (seal.open(place, { proof, bytes: noBytes }) === undefined) {
    throw new SnapshotFault('it was written with another scopeSecret or encryption key');
  }
}

function endOf(seal: Seal, count: number): Uint8Array {
  return seal.seal(['end', count], noBytes).proof;
}

function isEnd(proof: Buffer, seal: Seal, count: number): boolean {
  return seal.open(['end', count], { proof, bytes: noBytes }) !== undefined;
}

function lengthsOf(key: number, envelope: number): Buffer {
  const lengths = Buffer.alloc(lengthsBytes);
  lengths.writeUInt32BE(key, 0);
  lengths.writeUInt32BE(envelope, 4);
  return lengths;
}

function otherVersion(): SnapshotFault {
  return new SnapshotFault('it was written by another version');
}

function damaged(count: number): SnapshotFault {
  return new SnapshotFault(`it is damaged after ${count} entries`);
}

/** Reads bytes in the requested lengths, regardless of how they are chunked. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #waiting: Uint8Array[] = [];
  #size = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** Returns the next bytes, or null if fewer remain. */
  async take(length: number): Promise<Buffer | null> {
    while (this.#size < length) {
      const { value, done } = await this.#chunks.next();
      if (done === true) return null;
      this.#waiting.push(value);
      this.#size += value.length;
    }
    const all = this.#waiting.length === 1 ? this.#waiting[0] : Buffer.concat(this.#waiting);
    const bytes = Buffer.from(all?.buffer ?? new ArrayBuffer(0), all?.byteOffset, all?.length);
    this.#waiting = [bytes.subarray(length)];
    this.#size -= length;
    return bytes.subarray(0, length);
  }
}
