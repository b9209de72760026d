import type { ByteBudget } from '../budget.ts';
import type { BodyReason } from '../exchange.ts';
import { RequestBody } from '../request-body.ts';

/** What was made of a request's body, and what takes its place. */
export interface ReadBody {
  readonly body: RequestBody | BodyReason;
  /** The same body once more, for the handler; null where the request still has it. */
  readonly again: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
  /** Its bytes are held, and accounted for, until then. */
  readonly release: () => void;
}

/** Reads the body of a request. What cannot be held flows on as it is. */
export async function readBody(
  request: Request,
  maxBytes: number,
  budget: ByteBudget,
): Promise<ReadBody> {
  // Read by somebody else, and offered to nobody: there is nothing to know it by.
  if (request.bodyUsed || request.body?.locked) return untouched('not-json');
  if (request.body === null) return untouched(new RequestBody([]));
  if (declaredLength(request) > maxBytes) return untouched('request-too-large');

  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    let read: ReadableStreamReadResult<Uint8Array>;
    try {
      read = await reader.read();
    } catch {
      budget.give(size);
      return untouched('gone');
    }
    if (read.done) break;
    chunks.push(read.value);
    const reason = hold(read.value, size, maxBytes, budget);
    if (reason !== null) {
      budget.give(size);
      return { ...untouched(reason), again: passOn(chunks, reader) };
    }
    size += read.value.length;
  }
  const bytes = joined(chunks, size);
  return { body: new RequestBody([bytes]), again: bytes, release: () => budget.give(size) };
}

/** Takes `chunk` on the budget, or says why it cannot be held behind `size` bytes. */
function hold(
  chunk: unknown,
  size: number,
  maxBytes: number,
  budget: ByteBudget,
): BodyReason | null {
  // A stream of the application's own has whatever was put into it.
  if (!(chunk instanceof Uint8Array)) return 'not-json';
  if (size + chunk.length > maxBytes) return 'request-too-large';
  return budget.take(chunk.length) ? null : 'buffer-limit';
}

function untouched(body: RequestBody | BodyReason): ReadBody {
  return { body, again: null, release: () => {} };
}

/** In bytes; 0 where the client did not say. */
function declaredLength(request: Request): number {
  const text = request.headers.get('content-length') ?? '';
  return /^\d+$/.test(text) ? Number(text) : 0;
}

/** What was read already, and then the rest, no faster than it is read. */
function passOn(
  chunks: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  const waiting = [...chunks];
  return new ReadableStream<Uint8Array>(
    {
      async pull(client) {
        const chunk = waiting.shift() ?? (await reader.read()).value;
        if (chunk === undefined) client.close();
        else client.enqueue(chunk);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
