import { type CacheType, clientClosedRequest } from '../../shared/exchange.ts';
import type { WebExchange } from './exchange.ts';
import type { Following } from '../../llm-cache/decision.ts';
import type { CachedResponse } from '../../llm-cache/entry.ts';
import type { Follower } from '../../llm-cache/follower.ts';
import { followingHead, type Reply } from '../../llm-cache/replies.ts';
import type { Delivery } from './delivery.ts';

/** What nobody will read: the client has left. */
export function gone({ exchange }: Delivery): Response {
  exchange.status = clientClosedRequest;
  exchange.over();
  return new Response(null, { status: clientClosedRequest });
}

export function served(exchange: WebExchange, cacheType: CacheType, entry: CachedResponse): void {
  const { responseId: id, model, usage } = entry;
  exchange.served = { cacheType, facts: { id, model, usage } };
}

/** How much of a body is copied at once for a client that may not read it. */
const pieceBytes = 64 * 1024;

/** An answer that the cache gives itself, whole. */
export function replay({ status, headers, body }: Reply, delivery: Delivery): Response {
  const { length } = body;
  const own = length > pieceBytes ? piecesOf(body, delivery) : new Uint8Array(body);
  const response = new Response(own, {
    status,
    headers: { ...headers, 'Content-Length': String(length) },
  });
  delivery.exchange.status = status;
  if (length <= pieceBytes) delivery.exchange.over();
  return response;
}

/** A body that the client takes at its own pace, in copies: whoever takes bytes may take their memory away as well. */
function piecesOf(body: Uint8Array, delivery: Delivery): ReadableStream<Uint8Array> {
  const { left } = delivery.exchange.request;
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      start(client) {
        left.addEventListener('abort', () => {
          if (at === body.length) return;
          client.error(new DOMException('The client has left.', 'AbortError'));
          delivery.exchange.over();
        });
      },
      pull(client) {
        const piece = new Uint8Array(body.subarray(at, at + pieceBytes));
        at += piece.length;
        client.enqueue(piece);
        if (at < body.length) return;
        client.close();
        delivery.exchange.over();
      },
      cancel: () => delivery.exchange.over(),
    },
    { highWaterMark: 0 },
  );
}

/** Lets the client read along with a stream that is under way, at its own pace. */
export function follow(following: Following, delivery: Delivery): Response {
  const { follower } = following;
  const { status, headers } = followingHead(following);
  try {
    const response = new Response(streamOf(follower, delivery), { status, headers });
    delivery.exchange.status = status;
    return response;
  } catch (error) {
    follower.leave();
    throw error;
  }
}

function streamOf(follower: Follower, delivery: Delivery): ReadableStream<Uint8Array> {
  const { left } = delivery.exchange.request;
  const leave = () => {
    follower.leave();
    delivery.exchange.over();
  };
  return new ReadableStream<Uint8Array>(
    {
      // At once, so that who does not read is known to be behind.
      start(client) {
        const cutOff = () => {
          leave();
          client.error(new DOMException('The client has left.', 'AbortError'));
        };
        left.addEventListener('abort', cutOff, { once: true });
        if (left.aborted) return cutOff();
        follower.attach({
          // The next bytes wait until the client asks for them.
          write: (bytes) => {
            client.enqueue(new Uint8Array(bytes));
            return false;
          },
          end: () => {
            client.close();
            delivery.exchange.over();
          },
          break: () => {
            if (follower.tooSlow) delivery.tally.countSlowReader();
            client.error(new Error('The answer broke off.'));
            delivery.exchange.over();
          },
          fail: (error) => {
            delivery.faults.report('llm-cache: a response could not be written', error);
            client.error(new Error('The answer broke off.'));
            delivery.exchange.over();
          },
        });
      },
      pull: () => follower.resume(),
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
}
