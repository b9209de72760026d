import { promisify } from 'node:util';
import { gunzipSync, gzip, gzipSync } from 'node:zlib';
import type { Codec } from './bounded/compression-queue.ts';

const compressInPool = promisify(gzip);

/** Handing a body to the thread pool and back costs 85 µs of processor time: as much as compressing so many bytes. */
const mostAtOnce = 32 * 1024;
/** The lowest level is three times as fast as the usual one, and nearly as small. */
const level = { level: 1 };

/** The least that Node takes memory of its own for, beside its pool: whose bodies they are is told by their memory. */
const leastChunk = 8192;

/** Gzip (RFC 1952), whose trailer has a checksum and the length of what was compressed. */
export const gzipCodec: Codec = {
  async compress(body) {
    const compressed =
      body.length <= mostAtOnce ? gzipSync(body, level) : await compressInPool(body, level);
    return new Uint8Array(compressed);
  },
  expand(bytes) {
    const length = this.lengthOf(bytes);
    const chunkSize = Math.max(leastChunk, length + 1);
    const body = gunzipSync(bytes, { chunkSize, maxOutputLength: chunkSize });
    if (body.length !== length) throw new Error('a body in memory is damaged');
    return body;
  },
  lengthOf(bytes) {
    const { buffer, byteOffset, length } = bytes;
    return new DataView(buffer, byteOffset).getUint32(length - 4, true);
  },
};
