/**
 * Where bytes are stored, as a list of parts. Bytes sealed for one place do not open in another: not
 * under another name, as another kind or with another number.
 */
export type Place = readonly (string | number | Uint8Array)[];

export const proofBytes = 32;

/** Bytes that may be encrypted, and the proof that a gateway with the key wrote them for their place. */
export interface Sealed {
  readonly proof: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Authenticates bytes kept outside this process: only gateways with the same key can seal them. */
export interface Seal {
  seal(place: Place, bytes: Uint8Array): Sealed;
  /** Returns the original bytes, or undefined if no gateway with the key sealed them for the place. */
  open(place: Place, sealed: Sealed): Uint8Array | undefined;
}

/** Encodes a place unambiguously: each part is preceded by its length. */
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
