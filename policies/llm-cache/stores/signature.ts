import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Place, placeBytes, type Seal, type Sealed } from './seal.ts';

/** Leaves bytes as they are and signs them, HMAC-SHA-256. */
export class Signature implements Seal {
  readonly #key: Buffer;

  constructor(secret: string) {
    // A key of its own: digests under the secret itself are shown to clients.
    this.#key = createHmac('sha256', secret).update('llm-cache: values in Redis').digest();
  }

  seal(place: Place, bytes: Uint8Array): Sealed {
    return { proof: this.#sign(place, bytes), bytes };
  }

  open(place: Place, { proof, bytes }: Sealed): Uint8Array | undefined {
    const expected = this.#sign(place, bytes);
    // Compared in constant time, which needs equal lengths.
    return proof.length === expected.length && timingSafeEqual(proof, expected) ? bytes : undefined;
  }

  #sign(place: Place, bytes: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(placeBytes(place)).update(bytes).digest();
  }
}
