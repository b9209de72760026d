import type { ServerResponse } from 'node:http';
import type { InnerResponse } from '../../shared/node/tap.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import { cacheStatus, staleStatus } from '../cache-status.ts';
import type { Following, Hit, Joined, Unavailable } from '../decision.ts';
import type { CachedResponse } from '../entry.ts';

/** Answers with a stored entry, byte for byte. */
export function replayHit(res: ServerResponse, hit: Hit): void {
  setHeaders(res, hit.entry.headers, 'HIT (exact)', cacheStatus(hit));
  res.setHeader('Age', hit.age);
  writeWhole(res, hit.entry.body, res);
}

/** Answers with what an identical request has just got. */
export function replayJoined(res: ServerResponse, joined: Joined): void {
  setHeaders(res, joined.entry.headers, 'HIT (coalesced)', cacheStatus(joined));
  writeWhole(res, joined.entry.body, res);
}

/** Answers with an expired entry, past the later policies, whose turn was the upstream's failure. */
export function replayStale(
  res: ServerResponse,
  entry: CachedResponse,
  failure: { readonly status: number | null; readonly now: number; readonly inner: InnerResponse },
): void {
  const ttl = Math.floor((entry.freshUntil - failure.now) / 1000);
  setHeaders(res, entry.headers, 'HIT (stale)', staleStatus(failure.status, ttl));
  res.setHeader('Age', Math.floor((failure.now - entry.storedAt) / 1000));
  writeWhole(res, entry.body, failure.inner);
}

/** Lets the client read along with a stream that is under way. */
export function follow(
  res: ServerResponse,
  following: Following,
  left: AbortSignal,
  tooSlow: () => void,
): void {
  const { flight, follower } = following;
  setHeaders(res, flight.headers, 'HIT (coalesced)', cacheStatus(following));
  res.on('drain', () => follower.resume());
  left.addEventListener('abort', () => follower.leave());
  follower.attach({
    write: (bytes) => res.write(asBuffer(bytes)),
    end: () => res.end(),
    break: () => {
      if (follower.tooSlow) tooSlow();
      res.destroy();
    },
  });
}

/** Answers 504 in the protocol's own shape of an error. */
export function answerUnavailable(
  res: ServerResponse,
  decision: Unavailable,
  protocol: Protocol,
): void {
  const error = {
    message: 'Nothing stored answers this request, and it asks for a stored answer only.',
    type: 'gateway_timeout',
    code: 'only_if_cached',
  };
  const body = protocol.name === 'messages' ? { type: 'error', error } : { error };
  res.statusCode = 504;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Cache-Status', cacheStatus(decision));
  writeWhole(res, Buffer.from(JSON.stringify(body)), res);
}

function setHeaders(
  res: ServerResponse,
  headers: Readonly<Record<string, string>>,
  cache: string,
  status: string,
): void {
  res.statusCode = 200;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.setHeader('X-Cache', cache);
  res.setHeader('Cache-Status', status);
}

/** A Buffer, in a write of its own: wrappers of earlier policies may know nothing else. */
function writeWhole(res: ServerResponse, body: Uint8Array, through: InnerResponse): void {
  res.setHeader('Content-Length', body.length);
  Reflect.apply(through.write, res, [asBuffer(body)]);
  Reflect.apply(through.end, res, []);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
