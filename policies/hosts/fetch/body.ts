import type { ClientAccount } from '../../shared/bytes/budget.ts';
import type { BodyReason } from '../../shared/exchange.ts';
import { contentCodings } from '../../shared/format.ts';
import { type BodyReading, RequestBody } from '../../shared/request-body.ts';
import { type SlabReader, Slabs } from '../../shared/bytes/slabs.ts';
import { nextTurn } from '../../shared/turns.ts';
import { undoing } from '../../shared/bytes/undo-codings.ts';
import { decoding } from './decode.ts';
import { webHashing } from './digest.ts';

const webReading: BodyReading = {
  hashing: webHashing,
  naming: null,
  isUtf8: null,
  memory: null,
  decode: undoing(decoding),
};

/** A request's body after it was read, and its replacement. */
export interface ReadBody {
  readonly body: RequestBody | BodyReason;
  /** The same body for the handler; null if the request's own body was not read. */
  readonly again: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
  /** Releases the bytes, which are held and charged to the account until then. */
  readonly release: () => void;
}

/** How many pieces are read in one turn of the event loop. A stream may have all of them at once. */
const piecesATurn = 256;

/** Buffers the body of a request. A body that cannot be buffered passes through unchanged. */
export async function readBody(
  request: Request,
  maxBytes: number,
  account: ClientAccount,
): Promise<ReadBody> {
  // Another handler has read the body, so no key can be made.
  if (request.bodyUsed || request.body?.locked) return untouched('not-json');
  if (request.body === null) return untouched(new RequestBody([], webReading));
  const declared = declaredLength(request);
  if (declared > maxBytes) return untouched('request-too-large');
  if (!account.hasRoom(declared)) return untouched('buffer-limit');

  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const slabs = new Slabs(account, declared === 0 ? null : declared);
  for (let pieces = 1; ; pieces++) {
    if (pieces % piecesATurn === 0) await nextTurn();
    let read: ReadableStreamReadResult<Uint8Array>;
    try {
      read = await reader.read();
    } catch {
      slabs.release();
      return untouched('gone');
    }
    if (read.done) break;
    const reason = hold(read.value, slabs, maxBytes);
    if (reason !== null) return passThrough(reason, slabs, read.value, reader);
  }
  const bytes = slabs.joined();
  const coding = request.headers.get('content-encoding') ?? '';
  const isCoded = contentCodings(coding).length > 0 && bytes.length > 0;
  const body = new RequestBody([bytes], webReading, isCoded ? { coding, maxBytes, account } : null);
  return { body, again: bytes, release: () => slabs.releaseBehind(body.idle) };
}

/** Adds `chunk` and returns null, or returns why the chunk cannot be held. */
function hold(chunk: unknown, slabs: Slabs, maxBytes: number): BodyReason | null {
  // The application may have put anything into a stream of its own.
  if (!(chunk instanceof Uint8Array)) return 'not-json';
  if (slabs.size + chunk.length > maxBytes) return 'request-too-large';
  return slabs.add(chunk) ? null : 'buffer-limit';
}

function untouched(body: RequestBody | BodyReason): ReadBody {
  return { body, again: null, release: () => {} };
}

/** In bytes; 0 if the client declared none. */
function declaredLength(request: Request): number {
  const text = request.headers.get('content-length') ?? '';
  return /^\d+$/.test(text) ? Number(text) : 0;
}

/** A body that passes through: the held bytes, then `chunk`, then the rest. */
function passThrough(
  reason: BodyReason,
  slabs: Slabs,
  chunk: Uint8Array,
  rest: ReadableStreamDefaultReader<Uint8Array>,
): ReadBody {
  const held = slabs.reader();
  slabs.release();
  return { body: reason, again: streamOf(held, chunk, rest), release: () => held.close() };
}

/** Reads `rest` only as fast as the handler reads the stream. */
function streamOf(
  held: SlabReader,
  chunk: Uint8Array,
  rest: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  let last: Uint8Array | null = chunk;
  const next = async () => {
    const piece = held.next();
    // The bytes are copied, because their reader may transfer or change them.
    if (piece !== null) return new Uint8Array(piece);
    held.close();
    const waiting = last;
    last = null;
    return waiting ?? (await rest.read()).value;
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(client) {
        const piece = await next();
        if (piece === undefined) client.close();
        else client.enqueue(piece);
      },
      cancel(reason) {
        held.close();
        return rest.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
