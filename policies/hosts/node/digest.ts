import { createCipheriv, createHash, createHmac, hash, randomBytes } from 'node:crypto';
import process from 'node:process';
import type { Digest } from '../../shared/exchange.ts';
import type { Hashing, RunningHash } from '../../shared/bytes/hashing.ts';
import { Recent } from '../../shared/recent.ts';

const maxRemembered = 10_000;

export function nodeDigest(secret: string): Digest {
  const sha256 = (text: string) => hash('sha256', text, 'base64url');
  // An HMAC takes four times as long as a hash. Hashed keys leave no credential in memory.
  const remembered = new Recent<string>(maxRemembered);
  return {
    sha256,
    hmac(text) {
      const name = sha256(text);
      const known = remembered.get(name);
      if (known !== undefined) return known;
      const whole = createHmac('sha256', secret).update(text).digest();
      const found = whole.subarray(0, 16).toString('base64url');
      remembered.set(name, found);
      return found;
    },
  };
}

export const nodeHashing: Hashing = {
  of: (bytes) => hash('sha256', bytes, 'base64url'),
  start() {
    const running = createHash('sha256');
    return {
      update: (bytes) => void running.update(bytes),
      end: () => running.digest('base64url'),
    };
  },
};

const namingKey = randomBytes(16);
const namingNonce = randomBytes(12);

/**
 * Names bytes by their AES-GCM tag, for which processors have special instructions. The key and the
 * tags never leave this process, so an attacker cannot construct two bodies with the same tag, even
 * though the nonce is constant. Null in Deno, whose AES-GCM runs in software and is slower than SHA-256.
 */
export const nodeNaming =
  'deno' in process.versions
    ? null
    : (): RunningHash => {
        const cipher = createCipheriv('aes-128-gcm', namingKey, namingNonce);
        return {
          update: (bytes) => void cipher.setAAD(bytes),
          end() {
            cipher.final();
            return cipher.getAuthTag().toString('base64url');
          },
        };
      };
