import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

// Layout: "LLME", version (1 byte), key id (4 bytes), nonce (12), tag (16), ciphertext.
const magic = Buffer.from('LLME');
const version = 1;
const idAt = 5;
const nonceAt = 9;
const tagAt = 21;
const textAt = 37;

interface Key {
  readonly id: Buffer;
  readonly secret: Buffer;
}

/** Encrypts entries at rest, AES-256-GCM: the first key encrypts, all decrypt, so that keys rotate. */
export class Encryption {
  readonly #keys: readonly Key[];

  /** `keys` are 32 bytes each, in base64; there is at least one. */
  constructor(keys: readonly string[]) {
    this.#keys = keys.map((text) => {
      const secret = Buffer.from(text, 'base64');
      return { secret, id: createHash('sha256').update(secret).digest().subarray(0, 4) };
    });
  }

  /** `name` is authenticated with the bytes: moved to another name they do not decrypt. */
  encrypt(name: string, bytes: Uint8Array): Buffer {
    const [key] = this.#keys;
    if (key === undefined) throw new Error('there is no key to encrypt with');
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key.secret, nonce).setAAD(Buffer.from(name));
    const text = Buffer.concat([cipher.update(bytes), cipher.final()]);
    return Buffer.concat([magic, Buffer.of(version), key.id, nonce, cipher.getAuthTag(), text]);
  }

  /** Undefined where the bytes are not authentic, or of a key or a version that is not known. */
  decrypt(name: string, bytes: Buffer): Buffer | undefined {
    if (bytes.length < textAt || !bytes.subarray(0, 4).equals(magic) || bytes[4] !== version) {
      return undefined;
    }
    const id = bytes.subarray(idAt, nonceAt);
    const key = this.#keys.find((one) => one.id.equals(id));
    if (key === undefined) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', key.secret, bytes.subarray(nonceAt, tagAt))
      .setAAD(Buffer.from(name))
      .setAuthTag(bytes.subarray(tagAt, textAt));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(textAt)), decipher.final()]);
    } catch {
      return undefined;
    }
  }
}
