import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { type Place, placeBytes, proofBytes, type Seal, type Sealed } from './seal.ts';

// Layout of a proof: key id (4 bytes), nonce (12), tag (16).
const nonceAt = 4;
const tagAt = 16;

interface Key {
  readonly id: Buffer;
  readonly secret: Buffer;
}

/**
 * A seal that encrypts and authenticates bytes with AES-256-GCM. The first key encrypts and all keys
 * decrypt, so that keys can be rotated.
 */
export class Encryption implements Seal {
  readonly #first: Key;
  readonly #keys: readonly Key[];

  /** `keys` are 32 bytes each, in base64. At least one is required. */
  constructor(keys: readonly string[]) {
    this.#keys = keys.map(keyOf);
    const [first] = this.#keys;
    if (first === undefined) throw new Error('there is no key to encrypt with');
    this.#first = first;
  }

  seal(place: Place, bytes: Uint8Array): Sealed {
    const { id, secret } = this.#first;
    const nonce = randomBytes(tagAt - nonceAt);
    const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(placeBytes(place));
    // GCM has no padding, so `final` returns no bytes.
    const text = cipher.update(bytes);
    cipher.final();
    return { proof: Buffer.concat([id, nonce, cipher.getAuthTag()]), bytes: text };
  }

  open(place: Place, { proof, bytes }: Sealed): Uint8Array | undefined {
    if (proof.length !== proofBytes) return undefined;
    const id = proof.subarray(0, nonceAt);
    const key = this.#keys.find((candidate) => candidate.id.equals(id));
    if (key === undefined) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', key.secret, proof.subarray(nonceAt, tagAt))
      .setAAD(placeBytes(place))
      .setAuthTag(proof.subarray(tagAt));
    try {
      const text = decipher.update(bytes);
      decipher.final();
      return text;
    } catch {
      return undefined;
    }
  }
}

function keyOf(text: string): Key {
  const secret = Buffer.from(text, 'base64');
  return { secret, id: createHash('sha256').update(secret).digest().subarray(0, 4) };
}
