import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import type { BodySink } from '../../shared/bytes/body-sink.ts';
import { Expansion } from '../../shared/bytes/expansion.ts';
import { contentCodings, maxCodings } from '../../shared/format.ts';

const maxQueuedBytes = 16 * 1024 * 1024;

/**
 * Returns a sink that decodes a body's content codings and passes it on to `sink`. It aborts `sink`
 * with `encoding` if it cannot decode the body, with `too-large` if `sink` wants no more or the body
 * expands without end, and with `buffer-limit` if decoding falls too far behind.
 */
export function decoding(contentEncoding: string, sink: BodySink): BodySink {
  const codings = contentCodings(contentEncoding);
  if (codings.length === 0 || sink.isDone) return sink;

  // The coding that was applied last is decoded first.
  const decoders = codings.toReversed().slice(0, maxCodings).map(decoderFor);
  let open = true;
  const stop = (reason: Parameters<BodySink['abort']>[0]) => {
    if (!open) return;
    open = false;
    for (const decoder of decoders) decoder?.destroy();
    sink.abort(reason);
  };
  const chain = decoders.filter((decoder) => decoder !== null);
  const [first] = chain;
  const last = chain.at(-1);
  if (chain.length !== codings.length || first === undefined || last === undefined) {
    stop('encoding');
    return { isDone: true, chunk() {}, end() {}, abort() {} };
  }
  const expansion = new Expansion();
  for (const decoder of chain) {
    decoder.on('error', () => stop('encoding'));
    decoder.on('data', ({ length }: Buffer) => {
      if (!expansion.allows(length)) stop('too-large');
    });
  }
  chain.reduce((from, to) => from.pipe(to));
  last.on('data', (bytes: Buffer) => {
    if (!open) return;
    sink.chunk(bytes);
    if (sink.isDone) stop('too-large');
  });
  let fed = 0;
  let decoded = false;
  let closed = false;
  const conclude = () => {
    if (!open || !decoded || !closed) return;
    // Bytes after the end of the coded data are not part of the body that a client would get.
    if (first.bytesWritten < fed) return stop('encoding');
    open = false;
    sink.end();
  };
  last.on('end', () => {
    decoded = true;
    conclude();
  });
  return {
    get isDone() {
      return !open;
    },
    chunk(bytes) {
      if (!open) return;
      fed += bytes.length;
      expansion.packed(bytes.length);
      if (decoded) return stop('encoding');
      first.write(bytes);
      if (first.writableLength > maxQueuedBytes) stop('buffer-limit');
    },
    end() {
      closed = true;
      if (decoded) conclude();
      else if (open) first.end();
    },
    abort: stop,
  };
}

/** Decodes a whole body synchronously. Returns null if it cannot be decoded within `maxBytes`. */
export function decodeNow(
  contentEncoding: string,
  bytes: Uint8Array,
  maxBytes: number,
): Uint8Array | null {
  const bound = { maxOutputLength: maxBytes };
  const codings = contentCodings(contentEncoding);
  if (codings.length > maxCodings) return null;
  try {
    return codings.toReversed().reduce((coded, coding) => {
      switch (coding) {
        case 'gzip':
        case 'x-gzip':
          return zlib.gunzipSync(coded, bound);
        case 'deflate':
          return zlib.inflateSync(coded, bound);
        case 'br':
          return zlib.brotliDecompressSync(coded, bound);
        default:
          throw new Error('unknown');
      }
    }, bytes);
  } catch {
    return null;
  }
}

type Decoder = Transform & zlib.Zlib;

function decoderFor(coding: string): Decoder | null {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return zlib.createGunzip();
    case 'deflate':
      return zlib.createInflate();
    case 'br':
      return zlib.createBrotliDecompress();
    case 'zstd':
      return 'createZstdDecompress' in zlib ? (zlib.createZstdDecompress as () => Decoder)() : null;
    default:
      return null;
  }
}
