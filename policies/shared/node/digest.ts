import { createHmac, hash } from 'node:crypto';
import type { Digest } from '../exchange.ts';

export function nodeDigest(secret: string): Digest {
  return {
    sha256: (text) => hash('sha256', text, 'base64url'),
    hmac: (text) =>
      createHmac('sha256', secret).update(text).digest().subarray(0, 16).toString('base64url'),
  };
}

/** Tells bytes apart. */
export function hashBytes(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url');
}
