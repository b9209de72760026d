import type { ServerResponse } from 'node:http';
import type { FaultLog } from '../../shared/faults.ts';
import { breakOff } from './response-end.ts';
import type { InnerResponse } from './tap.ts';
import type { Protocol } from '../../shared/protocols/protocol.ts';
import type { Following, Hit, Joined, Unavailable } from '../../llm-cache/decision.ts';
import type { CachedResponse } from '../../llm-cache/entry.ts';
import {
  followingHead,
  hitReply,
  joinedReply,
  type Reply,
  type ReplyHead,
  staleReply,
  unavailableReply,
} from '../../llm-cache/replies.ts';
import type { Tally } from '../../llm-cache/stats.ts';

/** Answers with a stored entry, byte for byte. */
export function replayHit(res: ServerResponse, hit: Hit): void {
  writeWhole(res, hitReply(hit), res);
}

/** Answers with what an identical request has just got. */
export function replayJoined(res: ServerResponse, joined: Joined): void {
  writeWhole(res, joinedReply(joined), res);
}

/** Answers with an expired entry, past the later policies, whose turn was the upstream's failure. */
export function replayStale(
  res: ServerResponse,
  entry: CachedResponse,
  failure: { readonly status: number | null; readonly now: number; readonly inner: InnerResponse },
): void {
  writeWhole(res, staleReply(entry, failure.status, failure.now), failure.inner);
}

/** Lets the client read along with a stream that is under way. */
export function follow(
  res: ServerResponse,
  following: Following,
  { left, tally, faults }: Reading,
): void {
  const { follower } = following;
  const head = followingHead(following);
  try {
    setHead(res, head);
    res.on('drain', () => follower.resume());
    left.addEventListener('abort', () => follower.leave());
    follower.attach({
      write: (bytes) => res.write(asBuffer(bytes)),
      end: () => res.end(),
      break: () => {
        if (follower.tooSlow) tally.countSlowReader();
        breakOff(res);
      },
      fail: (error) => {
        faults.report('llm-cache: a response could not be written', error);
        breakOff(res);
      },
    });
  } catch (error) {
    follower.leave();
    takeBack(res, head);
    throw error;
  }
}

interface Reading {
  /** Aborted when the client has left. */
  readonly left: AbortSignal;
  readonly tally: Tally;
  readonly faults: FaultLog;
}

/** Answers 504 in the protocol's own shape of an error. */
export function answerUnavailable(
  res: ServerResponse,
  decision: Unavailable,
  protocol: Protocol,
): void {
  writeWhole(res, unavailableReply(decision, protocol), res);
}

function setHead(res: ServerResponse, { status, headers }: ReplyHead): void {
  // Setting what it is already costs as much as all the headers.
  if (res.statusCode !== status) res.statusCode = status;
  for (const name in headers) res.setHeader(name, headers[name] ?? '');
}

/** A Buffer, in a write of its own: wrappers of earlier policies may know nothing else. */
function writeWhole(res: ServerResponse, reply: Reply, through: InnerResponse): void {
  try {
    setHead(res, reply);
    res.setHeader('Content-Length', reply.body.length);
    Reflect.apply(through.write, res, [asBuffer(reply.body)]);
    Reflect.apply(through.end, res, []);
  } catch (error) {
    takeBack(res, reply);
    throw error;
  }
}

/** Lets another answer begin where this one could not. */
function takeBack(res: ServerResponse, { headers }: ReplyHead): void {
  if (res.headersSent) return;
  for (const name in headers) res.removeHeader(name);
  res.removeHeader('Content-Length');
  res.statusCode = 200;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
