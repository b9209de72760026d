import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { isWorthwhile, minCompressedBytes } from './bounded/compression-queue.ts';
import { gzipCodec } from './gzip.ts';

/** A body as a store outside this process keeps it. */
export interface StoredBody {
  readonly coding: Coding;
  readonly bytes: Uint8Array;
}

/** How a body is coded, as a byte. */
export type Coding = (typeof codings)[keyof typeof codings];

const codings = { identity: 0, gzip: 1 } as const;

export function isCoding(value: unknown): value is Coding {
  return value === codings.identity || value === codings.gzip;
}

export function isGzip({ coding }: StoredBody): boolean {
  return coding === codings.gzip;
}

export function uncompressed(bytes: Uint8Array): StoredBody {
  return { coding: codings.identity, bytes };
}

/** Bodies up to this size are expanded synchronously, in some 100 µs, and larger ones in the thread pool. */
const maxSyncBytes = 64 * 1024;

const expandInPool = promisify(gunzip);

/** Compresses a body if that is worthwhile. Never rejects: a body that cannot be compressed stays as it is. */
export async function storedBody(body: Uint8Array): Promise<StoredBody> {
  if (body.length < minCompressedBytes) return uncompressed(body);
  try {
    const bytes = await gzipCodec.compress(body);
    return isWorthwhile(bytes, body) ? { coding: codings.gzip, bytes } : uncompressed(body);
  } catch {
    return uncompressed(body);
  }
}

/** Returns the length of the uncompressed body, in bytes. */
export function lengthOf({ coding, bytes }: StoredBody): number {
  return coding === codings.identity ? bytes.length : gzipCodec.lengthOf(bytes);
}

/** Resolves to exactly the original body. Rejects if the stored bytes are damaged. */
export async function bodyOf(stored: StoredBody): Promise<Uint8Array> {
  const { coding, bytes } = stored;
  if (coding === codings.identity) return bytes;
  const length = lengthOf(stored);
  if (length <= maxSyncBytes) return gzipCodec.expand(bytes);
  const body = await expandInPool(bytes, { maxOutputLength: length });
  if (body.length !== length) throw new Error('a compressed body is damaged');
  return body;
}
