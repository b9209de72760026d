/**
 * Where bytes stand, part by part. What was sealed in one place opens in no other: not under another
 * name, not as another kind, not under another number.
 */
export type Place = readonly (string | number | Uint8Array)[];

export const proofBytes = 32;

/** Bytes as another process may keep them, perhaps encrypted, and the proof of who wrote them where. */
export interface Sealed {
  readonly proof: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Tells what gateways with the same key have written from what others have. */
export interface Seal {
  seal(place: Place, bytes: Uint8Array): Sealed;
  /** The bytes as they were; undefined where no gateway with the key has put them in that place. */
  open(place: Place, sealed: Sealed): Uint8Array | undefined;
}

/** The place as bytes that no other place has: every part follows its length. */
export function placeBytes(place: Place): Buffer {
  const all: Uint8Array[] = [];
  for (const part of place) {
    const bytes = part instanceof Uint8Array ? part : Buffer.from(String(part));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    all.push(length, bytes);
  }
  return Buffer.concat(all);
}
