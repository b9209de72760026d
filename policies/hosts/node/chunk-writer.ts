import { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import process from 'node:process';
import { asBuffer } from './write-reply.ts';

const { write: nodeWrite } = ServerResponse.prototype;

/**
 * Writes a stream that many responses share. Node would encode each chunk anew for each response and
 * write it in four pieces; instead, all readers get one frame, written to their sockets.
 */
export class ChunkWriter {
  readonly #res: ServerResponse;
  readonly #onDrain: () => void;
  /** Null as long as only Node may write to it. */
  #socket: Socket | null = null;

  /** `onDrain` is called when the client has read what was written, if a write returned false. */
  constructor(res: ServerResponse, onDrain: () => void) {
    this.#res = res;
    this.#onDrain = onDrain;
    res.on('drain', onDrain);
  }

  /** Returns false to ask for a pause until `onDrain`. */
  write(bytes: Uint8Array): boolean {
    const res = this.#res;
    // Another handler may end the response. Node would report a late write as an uncaught error.
    if (res.writableEnded) return true;
    const isNodes = res.write === nodeWrite;
    const socket = isNodes ? (this.#socket ??= chunkedSocket(res)) : null;
    if (socket === null || bytes.length === 0) return res.write(asBuffer(bytes));
    const isFlowing = socket.write(frameOf(bytes));
    if (!isFlowing) socket.once('drain', this.#onDrain);
    return isFlowing;
  }
}

/**
 * The socket of a response whose head Node has sent, and whose chunks it would send at once; it is
 * the response's until that ends. Null if Node sends no chunks, or the response waits for another one.
 */
function chunkedSocket(res: ServerResponse): Socket | null {
  if (!res.chunkedEncoding || !res.headersSent) return null;
  // A server other than Node's may have no real socket.
  return res.socket instanceof Socket ? res.socket : null;
}

/** The frame of this turn's last chunk, which the other readers are about to get as well. */
let last: { readonly bytes: Uint8Array; readonly frame: Buffer } | null = null;

const lineEnd = '\r\n';

/** The chunk per RFC 9112, section 7.1. */
function frameOf(bytes: Uint8Array): Buffer {
  if (last !== null && isSame(last.bytes, bytes)) return last.frame;
  const size = bytes.length.toString(16) + lineEnd;
  const frame = Buffer.allocUnsafeSlow(size.length + bytes.length + lineEnd.length);
  frame.write(size, 0, 'latin1');
  frame.set(bytes, size.length);
  frame.write(lineEnd, size.length + bytes.length, 'latin1');
  if (last === null) process.nextTick(forget);
  last = { bytes, frame };
  return frame;
}

/** Whether both are the same memory, which is written only once. */
function isSame(one: Uint8Array, { buffer, byteOffset, length }: Uint8Array): boolean {
  return one.buffer === buffer && one.byteOffset === byteOffset && one.length === length;
}

function forget(): void {
  last = null;
}
