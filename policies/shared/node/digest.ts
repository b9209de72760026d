import { createHmac, hash } from 'node:crypto';
import type { Digest } from '../exchange.ts';
import { Recent } from '../recent.ts';

const maxRemembered = 10_000;

export function nodeDigest(secret: string): Digest {
  const sha256 = (text: string) => hash('sha256', text, 'base64url');
  /** By the text's own digest: no credential stays in memory for this. An HMAC takes four times as long. */
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

/** Tells bytes apart. */
export function hashBytes(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url');
}
