import { type CachedResponse, encodeHead, type EntryHead, parseHead } from '../entry.ts';
import { proofBytes, type Seal } from './seal.ts';
import { uncompressed, isCoding, type StoredBody } from './stored-body.ts';

// Layout: "LLMC", version (1 byte), coding of the body (1), lengths of head and body (4 each, big
// endian), proof of the body (32), proof of the head (32), head (JSON), body.
// The head's proof also covers all that precedes it, so that a head can be trusted without its body.
const magic = Buffer.from('LLMC');
const version = 3;
const codingAt = 5;
const lengthsAt = 6;
const bodyProofAt = 14;
const headProofAt = bodyProofAt + proofBytes;
const headAt = headProofAt + proofBytes;

/** An entry with a longer head is not stored. The bound is needed because its names come from outside. */
export const maxHeadBytes = 32 * 1024;
/** The first bytes of an envelope, up to this length, include every whole head. */
export const maxHeadEnd = headAt + maxHeadBytes;

/** An entry whose head is verified, and whose body is not yet. */
export interface Opened {
  readonly head: EntryHead;
  readonly bodyStart: number;
  /** The length of the body as stored. */
  readonly bodyLength: number;
  /** Verifies and returns the body, or undefined if it does not belong to the head. */
  body(bytes: Uint8Array): StoredBody | undefined;
}

/** Serializes entries for a store outside this process: bounded, versioned and sealed under their names. */
export class Envelope {
  readonly #seal: Seal;

  constructor(seal: Seal) {
    this.#seal = seal;
  }

  /** Wraps an entry, with its body as given in `stored`. Its head must not exceed `maxHeadBytes`. */
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

  /**
   * Opens an envelope stored under `name`. `begin` is its first bytes, up to the end of the head or
   * further. Returns undefined if no gateway with the key wrote it under that name.
   */
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

/** Returns where the head ends according to its unverified length, or undefined if the bytes are no entry of this version. */
export function headEnd(begin: Buffer): number | undefined {
  if (!isEnvelope(begin) || !isThisVersion(begin)) return undefined;
  const length = begin.readUInt32BE(lengthsAt);
  return length > maxHeadBytes ? undefined : headAt + length;
}

/** Whether the bytes are an entry in the format of another release. */
export function isOtherVersion(begin: Buffer): boolean {
  return isEnvelope(begin) && !isThisVersion(begin);
}

function isThisVersion(begin: Buffer): boolean {
  return begin[magic.length] === version && isCoding(begin[codingAt]);
}

/** Returns the head's proof, which differs between any two entries under one name. Empty if the bytes are too short. */
export function markOf(begin: Buffer): string {
  return begin.toString('latin1', headProofAt, headAt);
}

function isEnvelope(begin: Buffer): boolean {
  return begin.length >= headAt && begin.subarray(0, magic.length).equals(magic);
}
