import type { BodySink } from '../../shared/bytes/body-sink.ts';
import { Expansion } from '../../shared/bytes/expansion.ts';
import { contentCodings, maxCodings } from '../../shared/format.ts';

const maxQueuedBytes = 16 * 1024 * 1024;

/** The names of content codings in `DecompressionStream`. A platform need not support all of them. */
const formats: Readonly<Record<string, string>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'brotli',
  zstd: 'zstd',
};

/**
 * Returns a sink that decodes a body's content codings and passes it on to `sink`. It aborts `sink`
 * with `encoding` if it cannot decode the body, with `too-large` if `sink` wants no more or the body
 * expands without end, and with `buffer-limit` if decoding falls too far behind.
 */
export function decoding(contentEncoding: string, sink: BodySink): BodySink {
  const codings = contentCodings(contentEncoding);
  if (codings.length === 0 || sink.isDone) return sink;
  const expansion = new Expansion();
  const decoder = decoderFor(codings, (bytes) => {
    if (!expansion.allows(bytes)) stop('too-large');
    return open;
  });
  if (decoder === null) {
    sink.abort('encoding');
    return { isDone: true, chunk() {}, end() {}, abort() {} };
  }
  const writer = decoder.writable.getWriter();
  let open = true;
  let queued = 0;
  const stop = (reason: Parameters<BodySink['abort']>[0]) => {
    if (!open) return;
    open = false;
    writer.abort().catch(() => {});
    sink.abort(reason);
  };
  const take = (bytes: Uint8Array) => {
    if (open) sink.chunk(bytes);
    if (open && sink.isDone) stop('too-large');
    return open;
  };
  void pump(decoder.readable, take).then((whole) => {
    if (!whole) return stop('encoding');
    if (open) sink.end();
    open = false;
  });
  return {
    get isDone() {
      return !open;
    },
    chunk(bytes) {
      if (!open) return;
      queued += bytes.length;
      expansion.packed(bytes.length);
      if (queued > maxQueuedBytes) return stop('buffer-limit');
      const written = () => void (queued -= bytes.length);
      writer.write(new Uint8Array(bytes)).then(written, () => stop('encoding'));
    },
    end() {
      if (open) writer.close().catch(() => stop('encoding'));
    },
    abort: stop,
  };
}

/** Whether `bytes`, the first ones of a body, are plain text, whatever its `Content-Encoding` says. */
export function isText(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 64);
  // eslint-disable-next-line no-control-regex
  const controls = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;
  try {
    return !controls.test(
      new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true }),
    );
  } catch {
    return false;
  }
}

interface Decoder {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<BufferSource>;
}

/**
 * Returns null if the platform does not support one of the codings. Each decoder calls `passes` with
 * the number of bytes that it has produced, and stops when `passes` returns false.
 */
function decoderFor(
  codings: readonly string[],
  passes: (bytes: number) => boolean,
): Decoder | null {
  if (codings.length > maxCodings) return null;
  try {
    // The coding that was applied last is decoded first.
    const [first, ...more] = codings.toReversed().map((coding): Decoder => {
      return new DecompressionStream((formats[coding] ?? coding) as CompressionFormat);
    });
    if (first === undefined) return null;
    const readable = more.reduce<ReadableStream<Uint8Array>>(
      (from, to) =>
        from
          .pipeThrough<Uint8Array>(to as ReadableWritablePair<Uint8Array, Uint8Array>)
          .pipeThrough(gate(passes)),
      first.readable.pipeThrough(gate(passes)),
    );
    return { readable, writable: first.writable };
  } catch {
    return null;
  }
}

/** Passes chunks on until `passes` returns false, and then breaks the stream in both directions. */
function gate(passes: (bytes: number) => boolean): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(bytes, controller) {
      if (passes(bytes.length)) controller.enqueue(bytes);
      else controller.error(new Error('The rest is not wanted.'));
    },
  });
}

/** Reads until `take` returns false. Resolves to whether the stream was read to its end. */
async function pump(
  readable: ReadableStream<Uint8Array>,
  take: (bytes: Uint8Array) => boolean,
): Promise<boolean> {
  const reader = readable.getReader();
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return true;
      if (take(value)) continue;
      await reader.cancel();
      return false;
    }
  } catch {
    return false;
  }
}
