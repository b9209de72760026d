import { promisify } from 'node:util';
import { gunzipSync, gzip, gzipSync } from 'node:zlib';
import type { Codec } from './bounded/compression-queue.ts';

const compressInPool = promisify(gzip);

/**
 * Shorter bodies are compressed synchronously: a trip to the thread pool costs 85 µs of processor
 * time, as much as compressing this many bytes.
 */
const maxSyncBytes = 32 * 1024;
/** The lowest level is three times as fast as the default, and compresses nearly as well. */
const level = { level: 1 };

/** Node allocates chunks of this size outside its pool. Each body needs an ArrayBuffer of its own, which identifies it. */
const minChunk = 8192;

/** Gzip (RFC 1952). Its trailer has a checksum and the length of the uncompressed body. */
export const gzipCodec: Codec = {
  async compress(body) {
    const compressed =
      body.length <= maxSyncBytes ? gzipSync(body, level) : await compressInPool(body, level);
    return new Uint8Array(compressed);
  },
  expand(bytes) {
    const length = this.lengthOf(bytes);
    const chunkSize = Math.max(minChunk, length + 1);
    const body = gunzipSync(bytes, { chunkSize, maxOutputLength: chunkSize });
    if (body.length !== length) throw new Error('a body in memory is damaged');
    return body;
  },
  lengthOf(bytes) {
    const { buffer, byteOffset, length } = bytes;
    return new DataView(buffer, byteOffset).getUint32(length - 4, true);
  },
};
