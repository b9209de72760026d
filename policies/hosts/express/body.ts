import type { ServerResponse } from 'node:http';
import type { BodyReason } from '../../shared/exchange.ts';
import { RequestBody } from '../../shared/request-body.ts';
import { Slabs } from '../../shared/bytes/slabs.ts';
import {
  type Bounds,
  type HeldBody,
  holdBody,
  type BodyBuffer,
  nodeReading,
} from '../node/body.ts';
import type { AppRequest } from '../node/app-request.ts';
import { inTurn } from '../node/turn.ts';

/**
 * Reads the body and puts it back into `req`, so that the next handler can read it as if it were the
 * first. A body that cannot be buffered passes through unchanged. If a body parser has read the
 * request, its `req.body` is used.
 */
export async function rereadBody(
  req: AppRequest,
  res: ServerResponse,
  bounds: Bounds,
): Promise<HeldBody | BodyReason> {
  if (req.readableEnded) return parsedBody(req, bounds);
  if (req.destroyed) return 'gone';
  const held = await holdBody(req, bounds, (buffer) => collect(req, buffer, bounds));
  // An unread body would stay in memory as long as the connection.
  res.once('close', () => {
    if (req.readableFlowing === null) req.resume();
  });
  return held;
}

/**
 * Reads while `req` is paused, and stops at its last byte: a stream accepts unshifted bytes only
 * until it has ended.
 */
function collect(
  req: AppRequest,
  buffer: BodyBuffer,
  { whenOver }: Bounds,
): Promise<BodyReason | null> {
  const { declared, slabs } = buffer;
  return new Promise((resolve) => {
    const finish = (reason: BodyReason | null, last: Uint8Array | null = null) => {
      req.off('readable', onReadable);
      req.off('end', onEnd);
      req.off('error', onGone);
      req.off('close', onGone);
      if (reason === 'gone') slabs.release();
      else putBack(req, last === null ? slabs.chunks : [...slabs.chunks, last]);
      // The request's own buffer still holds the bytes, so they stay charged until the request is over.
      if (reason !== null && reason !== 'gone') whenOver(() => slabs.release());
      inTurn(() => resolve(reason));
    };
    const onReadable = () => {
      while (req.readableLength > 0) {
        const read: unknown = req.read();
        const chunk = Buffer.isBuffer(read) ? read : Buffer.from(String(read), encodingOf(req));
        const reason = buffer.add(chunk);
        if (reason !== null) return finish(reason, chunk);
      }
      if (req.complete || buffer.isWhole) finish(null);
    };
    const onEnd = () => finish(null);
    const onGone = () => finish('gone');

    // Without a body there is nothing to put back, and the next handler must see the stream end.
    const isEmpty = declared === null ? req.headers['transfer-encoding'] === undefined : !declared;
    if (isEmpty) return finish(null);
    req.on('readable', onReadable);
    req.once('end', onEnd);
    req.once('error', onGone);
    req.once('close', onGone);
  });
}

function putBack(req: AppRequest, chunks: readonly Uint8Array[]): void {
  const { readableEncoding: encoding } = req;
  if (encoding === null) {
    for (const chunk of chunks.toReversed()) req.unshift(chunk);
    return;
  }
  // A stream with an encoding accepts only text.
  const bytes = Buffer.concat(chunks);
  if (bytes.length > 0) req.unshift(bytes.toString(encoding), encoding);
}

/**
 * Replaces the body that was put back, or the `req.body` of a body parser, with `chunks`, which are
 * JSON.
 */
export function replaceBody(req: AppRequest, chunks: readonly Uint8Array[]): void {
  if (req.readableEnded) {
    const text = Buffer.concat(chunks).toString();
    const isParsed = typeof req.body === 'object' && !(req.body instanceof Uint8Array);
    req.body = isParsed
      ? JSON.parse(text)
      : req.body instanceof Uint8Array
        ? Buffer.from(text)
        : text;
    return;
  }
  while (req.readableLength > 0) req.read();
  putBack(req, chunks);
}

function encodingOf(req: AppRequest): BufferEncoding {
  return req.readableEncoding ?? 'utf8';
}

/** The body as a body parser left it: text and bytes unchanged, JSON as `JSON.stringify` writes it. */
function parsedBody(req: AppRequest, { maxBytes, account }: Bounds): HeldBody | BodyReason {
  const bytes = bytesOf(req);
  if (bytes === null) return 'not-json';
  if (bytes.length > maxBytes) return 'request-too-large';
  const slabs = new Slabs(account);
  if (!slabs.add(bytes)) return 'buffer-limit';
  const body = new RequestBody(slabs.chunks, nodeReading);
  return { body, release: () => slabs.releaseBehind(body.idle) };
}

function bytesOf({ body, headers }: AppRequest): Uint8Array | null {
  if (body instanceof Uint8Array) return body;
  if (typeof body === 'string') return Buffer.from(body);
  if (typeof body !== 'object' || body === null) return null;
  // The fields of a form must not be mistaken for the same members in JSON.
  if (/x-www-form-urlencoded|multipart/i.test(headers['content-type'] ?? '')) return null;
  return Buffer.from(JSON.stringify(body));
}
