import type { Follower } from '../../llm-cache/follower.ts';
import type { Reply, ReplyHead } from '../../llm-cache/replies.ts';
import { clientClosedRequest } from '../../shared/exchange.ts';
import type { WebClientParts } from './client-parts.ts';
import type { WebExchange } from './exchange.ts';

/** The response to a client that has left, which will not be delivered. */
export function goneResponse(exchange: WebExchange): Response {
  exchange.status = clientClosedRequest;
  exchange.over();
  return new Response(null, { status: clientClosedRequest });
}

/** How many bytes of a body are copied at once. A client may not read all of it. */
const pieceBytes = 64 * 1024;

/** A whole answer from the cache. */
export function wholeResponse({ status, headers, body }: Reply, exchange: WebExchange): Response {
  const { length } = body;
  const own = length > pieceBytes ? piecesOf(body, exchange) : new Uint8Array(body);
  const response = new Response(own, {
    status,
    headers: { ...headers, 'Content-Length': String(length) },
  });
  exchange.status = status;
  if (length <= pieceBytes) exchange.over();
  return response;
}

/** A body at the client's own pace, in copies: a reader may transfer the memory of its chunks. */
function piecesOf(body: Uint8Array, exchange: WebExchange): ReadableStream<Uint8Array> {
  const { left } = exchange.request;
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      start(client) {
        left.addEventListener('abort', () => {
          if (at === body.length) return;
          client.error(clientLeft());
          exchange.over();
        });
      },
      pull(client) {
        const piece = new Uint8Array(body.subarray(at, at + pieceBytes));
        at += piece.length;
        client.enqueue(piece);
        if (at < body.length) return;
        client.close();
        exchange.over();
      },
      cancel: () => exchange.over(),
    },
    { highWaterMark: 0 },
  );
}

type Reading = Pick<WebClientParts, 'exchange' | 'tally' | 'faults'>;

/** A response that follows a stream in progress, at the client's own pace. */
export function liveResponse(
  { status, headers }: ReplyHead,
  follower: Follower,
  reading: Reading,
): Response {
  try {
    const response = new Response(streamOf(follower, reading), { status, headers });
    reading.exchange.status = status;
    return response;
  } catch (error) {
    follower.leave();
    throw error;
  }
}

function streamOf(
  follower: Follower,
  { exchange, tally, faults }: Reading,
): ReadableStream<Uint8Array> {
  const { left } = exchange.request;
  const leave = () => {
    follower.leave();
    exchange.over();
  };
  return new ReadableStream<Uint8Array>(
    {
      // Attach before the client reads, so that a client that never reads is noticed as slow.
      start(client) {
        const cutOff = () => {
          leave();
          client.error(clientLeft());
        };
        left.addEventListener('abort', cutOff, { once: true });
        if (left.aborted) return cutOff();
        const broken = () => {
          client.error(new Error('The answer broke off.'));
          exchange.over();
        };
        follower.attach({
          // `false` holds the next bytes until the client asks for them.
          write: (bytes) => {
            client.enqueue(new Uint8Array(bytes));
            return false;
          },
          end: () => {
            client.close();
            exchange.over();
          },
          break: () => {
            if (follower.tooSlow) tally.countSlowReader();
            broken();
          },
          fail: (error) => {
            faults.report('llm-cache: a response could not be written', error);
            broken();
          },
        });
      },
      pull: () => follower.resume(),
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
}

function clientLeft(): DOMException {
  return new DOMException('The client has left.', 'AbortError');
}
