import { type CachedResponse, encodeHead, type EntryHead, parseHead } from '../entry.ts';
import { proofBytes, type Seal } from './seal.ts';
import { uncompressed, isCoding, type StoredBody } from './stored-body.ts';

// Layout: "LLMC", version (1 byte), coding of the body (1), lengths of head and body (4 each, big
// endian), proof of the body (32), proof of the head (32), head (JSON), body.
// The head's proof is of all that comes before it as well, so that a head is trusted without its body.
const magic = Buffer.from('LLMC');
const version = 3;
const codingAt = 5;
const lengthsAt = 6;
const bodyProofAt = 14;
const headProofAt = bodyProofAt + proofBytes;
const headAt = headProofAt + proofBytes;

/** An entry with a longer head is not stored: its names come from outside. */
export const maxHeadBytes = 32 * 1024;
/** Begins of that length have every head whole. */
export const maxHeadEnd = headAt + maxHeadBytes;

/** The entry under a name, as far as its begin tells. */
export interface Opened {
  readonly head: EntryHead;
  readonly bodyStart: number;
  /** Of the body as it is stored. */
  readonly bodyLength: number;
  /** The body that stands after the head; undefined where it is another's. */
  body(bytes: Uint8Array): StoredBody | undefined;
}

/** Entries as one run of bytes that another process keeps: bounded, versioned and sealed under their names. */
export class Envelope {
  readonly #seal: Seal;

  constructor(seal: Seal) {
    this.#seal = seal;
  }

  /** Of an entry whose head has `maxHeadBytes` at most, its body as `stored` has it. */
  wrap(name: string, entry: CachedResponse, stored: StoredBody = uncompressed(entry.body)): Buffer {
    const headBytes = encodeHead(entry);
    const body = this.#seal.seal(['body', name], stored.bytes);
    const prefix = Buffer.alloc(headProofAt);
    prefix.set(magic);
    prefix[magic.length] = version;
    prefix[codingAt] = stored.coding;
    prefix.writeUInt32BE(headBytes.length, lengthsAt);
    prefix.writeUInt32BE(body.bytes.length, lengthsAt + 4);
    prefix.set(body.proof, bodyProofAt);
    const head = this.#seal.seal(['head', name, prefix], headBytes);
    return Buffer.concat([prefix, head.proof, head.bytes, body.bytes]);
  }

  /** What stands under `name` and begins with `begin`, which has the whole head; undefined where no gateway with the key wrote that. */
  open(name: string, begin: Buffer): Opened | undefined {
    const bodyStart = headEnd(begin);
    if (bodyStart === undefined || bodyStart > begin.length) return undefined;
    const prefix = begin.subarray(0, headProofAt);
    const headBytes = this.#seal.open(['head', name, prefix], {
      proof: begin.subarray(headProofAt, headAt),
      bytes: begin.subarray(headAt, bodyStart),
    });
    const head = headBytes && parseHead(headBytes);
    if (head === undefined) return undefined;
    const proof = Buffer.from(begin.subarray(bodyProofAt, headProofAt));
    const coding = begin[codingAt];
    if (!isCoding(coding)) return undefined;
    return {
      head,
      bodyStart,
      bodyLength: begin.readUInt32BE(lengthsAt + 4),
      body: (bytes) => {
        const opened = this.#seal.open(['body', name], { proof, bytes });
        return opened && { coding, bytes: opened };
      },
    };
  }
}

/** Where the head ends, as the bytes say themselves; undefined where they are no entry of this version. */
export function headEnd(begin: Buffer): number | undefined {
  if (!isEnvelope(begin) || !isThisVersion(begin)) return undefined;
  const length = begin.readUInt32BE(lengthsAt);
  return length > maxHeadBytes ? undefined : headAt + length;
}

/** Whether the bytes are an entry of another version, as another release of this gateway writes them. */
export function isOtherVersion(begin: Buffer): boolean {
  return isEnvelope(begin) && !isThisVersion(begin);
}

function isThisVersion(begin: Buffer): boolean {
  return begin[magic.length] === version && isCoding(begin[codingAt]);
}

/** What tells two entries under one name apart: no two have the same. Empty where there is none. */
export function markOf(begin: Buffer): string {
  return begin.toString('latin1', headProofAt, headAt);
}

function isEnvelope(begin: Buffer): boolean {
  return begin.length >= headAt && begin.subarray(0, magic.length).equals(magic);
}
