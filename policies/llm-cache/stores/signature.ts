import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Place, placeBytes, type Seal, type Sealed } from './seal.ts';

/** A seal that leaves bytes unencrypted and signs them with HMAC-SHA-256. */
export class Signature implements Seal {
  readonly #key: Buffer;

  constructor(secret: string) {
    // Derive a separate key, because clients see digests under the secret itself.
    this.#key = createHmac('sha256', secret).update('llm-cache: values in Redis').digest();
  }

  seal(place: Place, bytes: Uint8Array): Sealed {
    return { proof: this.#sign(place, bytes), bytes };
  }

  open(place: Place, { proof, bytes }: Sealed): Uint8Array | undefined {
    const expected = this.#sign(place, bytes);
    // The constant-time comparison requires equal lengths.
    return proof.length === expected.length && timingSafeEqual(proof, expected) ? bytes : undefined;
  }

  #sign(place: Place, bytes: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(placeBytes(place)).update(bytes).digest();
  }
}
