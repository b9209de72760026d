import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { gzipCodec } from './gzip.ts';

/** A body as a store outside of this process has it. */
export interface StoredBody {
  readonly coding: Coding;
  readonly bytes: Uint8Array;
}

/** How a body is compressed, as one byte says. */
export type Coding = (typeof codings)[keyof typeof codings];

const codings = { asItIs: 0, gzip: 1 } as const;

export function isCoding(value: unknown): value is Coding {
  return value === codings.asItIs || value === codings.gzip;
}

export function isGzip({ coding }: StoredBody): boolean {
  return coding === codings.gzip;
}

export function asItIs(bytes: Uint8Array): StoredBody {
  return { coding: codings.asItIs, bytes };
}

/** Below, the coding itself would be most of it. */
const leastBytes = 1024;
/** Less is not worth the time that reading takes. */
const worthwhile = 0.8;
/** Up to so many bytes are expanded at once, in some 100 µs; more of them in the thread pool. */
const mostAtOnce = 64 * 1024;

const expandLater = promisify(gunzip);

/** Off the event loop. Never rejects: what cannot be compressed is stored as it is. */
export async function storedBody(body: Uint8Array): Promise<StoredBody> {
  if (body.length < leastBytes) return asItIs(body);
  try {
    const bytes = await gzipCodec.compress(body);
    return bytes.length < body.length * worthwhile ? { coding: codings.gzip, bytes } : asItIs(body);
  } catch {
    return asItIs(body);
  }
}

/** How long the body is, in bytes. */
export function lengthOf({ coding, bytes }: StoredBody): number {
  return coding === codings.asItIs ? bytes.length : gzipCodec.lengthOf(bytes);
}

/** The body, byte for byte; at once where it is small. Rejects, or throws, where that cannot be had. */
export async function bodyOf(stored: StoredBody): Promise<Uint8Array> {
  const { coding, bytes } = stored;
  if (coding === codings.asItIs) return bytes;
  const length = lengthOf(stored);
  if (length <= mostAtOnce) return gzipCodec.expand(bytes);
  const body = await expandLater(bytes, { maxOutputLength: length });
  if (body.length !== length) throw new Error('a compressed body is damaged');
  return body;
}
