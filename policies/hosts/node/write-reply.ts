import type { ServerResponse } from 'node:http';
import type { Reply, ReplyHead } from '../../llm-cache/replies.ts';
import { type Below, isUnwrapped } from './response-functions.ts';

/** Writes a whole reply into `below`, or through all layers of the response if that is null. */
export function writeWhole(res: ServerResponse, reply: Reply, below: Below | null = null): void {
  try {
    setHead(res, reply);
    res.setHeader('Content-Length', reply.body.length);
    const body = asBuffer(reply.body);
    // Wrappers of earlier policies may handle only Buffers, and only in `write`.
    if (below !== null) {
      below.write([body]);
      below.end([]);
    } else if (isUnwrapped(res)) res.end(body);
    else {
      res.write(body);
      res.end();
    }
  } catch (error) {
    takeBack(res, reply);
    throw error;
  }
}

/** Sets the status and the headers of a response. */
export function setHead(res: ServerResponse, { status, headers }: ReplyHead): void {
  // Setting the status, even to the same value, costs as much as setting all the headers.
  if (res.statusCode !== status) res.statusCode = status;
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (name === 'Vary') appendVary(res, value);
    else res.setHeader(name, value);
  }
}

/** Appends to what earlier policies have set, such as `Origin`. */
function appendVary(res: ServerResponse, value: string): void {
  const before = res.getHeader('Vary');
  res.setHeader('Vary', before === undefined ? value : `${String(before)}, ${value}`);
}

/** Removes the head of a reply that could not be written, so that another answer can replace it. */
export function takeBack(res: ServerResponse, { headers }: ReplyHead): void {
  if (res.headersSent) return;
  // An earlier policy may have set part of `Vary`, and the rest does no harm.
  for (const name in headers) if (name !== 'Vary') res.removeHeader(name);
  res.removeHeader('Content-Length');
  res.statusCode = 200;
}

/** A view of `bytes` as a Buffer, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
