import type { ResponseObserver } from '../exchange.ts';
import { contentCodings } from '../format.ts';

const maxQueuedBytes = 16 * 1024 * 1024;

export type BodySink = Pick<ResponseObserver, 'chunk' | 'end' | 'abort'>;

/** What the platform's streams call the codings that they may know. */
const formats: Readonly<Record<string, string>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'brotli',
  zstd: 'zstd',
};

/** Passes a body on to `sink` without its content codings; one that cannot be undone is an abort, reason `encoding`. */
export function decoding(contentEncoding: string, sink: BodySink): BodySink {
  const codings = contentCodings(contentEncoding);
  if (codings.length === 0) return sink;
  const decoder = decoderFor(codings);
  if (decoder === null) {
    sink.abort('encoding');
    return { chunk() {}, end() {}, abort() {} };
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
  void pump(decoder.readable, (bytes) => open && sink.chunk(bytes)).then((whole) => {
    if (!whole) return stop('encoding');
    if (open) sink.end();
    open = false;
  });
  return {
    chunk(bytes) {
      if (!open) return;
      queued += bytes.length;
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

/** Whether `bytes`, the first of a body, are text already, whatever its `Content-Encoding` says. */
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

/** Null where this platform does not know one of the codings. */
function decoderFor(codings: readonly string[]): Decoder | null {
  try {
    // The coding that was applied last is undone first.
    const [first, ...more] = codings.toReversed().map((coding): Decoder => {
      return new DecompressionStream((formats[coding] ?? coding) as CompressionFormat);
    });
    if (first === undefined || more.length > 3) return null;
    const readable = more.reduce<ReadableStream<Uint8Array>>(
      (from, to) =>
        from.pipeThrough<Uint8Array>(to as ReadableWritablePair<Uint8Array, Uint8Array>),
      first.readable,
    );
    return { readable, writable: first.writable };
  } catch {
    return null;
  }
}

/** False where it broke off. */
async function pump(
  readable: ReadableStream<Uint8Array>,
  take: (bytes: Uint8Array) => void,
): Promise<boolean> {
  const reader = readable.getReader();
  try {
    for (;;) {
      const { value } = await reader.read();
      if (value === undefined) return true;
      take(value);
    }
  } catch {
    return false;
  }
}
