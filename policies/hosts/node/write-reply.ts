import type { ServerResponse } from 'node:http';
import type { Reply, ReplyHead } from '../../llm-cache/replies.ts';
import { type Below, isBare } from './response-functions.ts';

/** Writes a reply, `below` a layer or through all of them. */
export function writeWhole(res: ServerResponse, reply: Reply, below: Below | null = null): void {
  try {
    setHead(res, reply);
    res.setHeader('Content-Length', reply.body.length);
    const body = asBuffer(reply.body);
    // A Buffer, in a write of its own: wrappers of earlier policies may know nothing else.
    if (below !== null) {
      below.write([body]);
      below.end([]);
    } else if (isBare(res)) res.end(body);
    else {
      res.write(body);
      res.end();
    }
  } catch (error) {
    takeBack(res, reply);
    throw error;
  }
}

export function setHead(res: ServerResponse, { status, headers }: ReplyHead): void {
  // Setting what it is already costs as much as all the headers.
  if (res.statusCode !== status) res.statusCode = status;
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (name === 'Vary') vary(res, value);
    else res.setHeader(name, value);
  }
}

/** Beside what earlier policies have said, as `Origin`. */
function vary(res: ServerResponse, value: string): void {
  const before = res.getHeader('Vary');
  res.setHeader('Vary', before === undefined ? value : `${String(before)}, ${value}`);
}

/** Lets another answer begin where this one could not. */
export function takeBack(res: ServerResponse, { headers }: ReplyHead): void {
  if (res.headersSent) return;
  // Of `Vary` a part may be an earlier policy's, and all of it does no harm.
  for (const name in headers) if (name !== 'Vary') res.removeHeader(name);
  res.removeHeader('Content-Length');
  res.statusCode = 200;
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
