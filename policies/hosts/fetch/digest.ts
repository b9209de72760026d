import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Digest } from '../../shared/exchange.ts';
import type { Hashing } from '../../shared/bytes/hashing.ts';

/**
 * Returns the same digests as `nodeDigest`, without Node. If `secret` is null, a random key is created
 * at the first use: workers have no randomness before their first request.
 */
export function webDigest(secret: string | null): Digest {
  let key = secret === null ? null : bytesOf(secret);
  return {
    sha256: (text) => base64url(sha256(bytesOf(text))),
    hmac: (text) => {
      key ??= crypto.getRandomValues(new Uint8Array(32));
      return base64url(hmac(sha256, key, bytesOf(text)).subarray(0, 16));
    },
  };
}

export const webHashing: Hashing = {
  of: (bytes) => base64url(sha256(bytes)),
  start() {
    const running = sha256.create();
    return {
      update: (bytes) => void running.update(bytes),
      end: () => base64url(running.digest()),
    };
  },
};

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
