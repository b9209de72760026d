import { createHash, createHmac } from 'node:crypto';
import type { Digest } from '../exchange.ts';

export function nodeDigest(secret: string): Digest {
  return {
    sha256: (text) => createHash('sha256').update(text).digest('base64url'),
    hmac: (text) =>
      createHmac('sha256', secret).update(text).digest().subarray(0, 16).toString('base64url'),
  };
}
