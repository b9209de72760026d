import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Callbacks for the close of a connection, which share one listener per socket. */
const onSocketClose = new WeakMap<Socket, Set<() => void>>();

/**
 * The end of a response or of its connection. A pipelined response that waits for an earlier one on
 * its connection emits no `close` of its own when the connection ends.
 */
export class ResponseEnd {
  #isOver = false;
  #callbacks: (() => void)[] = [];

  constructor(req: IncomingMessage, res: ServerResponse) {
    const { socket } = req;
    const finish = () => {
      if (this.#isOver) return;
      this.#isOver = true;
      onSocketClose.get(socket)?.delete(finish);
      res.off('close', finish);
      const callbacks = this.#callbacks;
      this.#callbacks = [];
      for (const then of callbacks) then();
    };
    // A closed socket emits no second `close`. The microtask lets the caller finish its setup.
    if (isGone(req, res)) queueMicrotask(finish);
    else {
      res.on('close', finish);
      // A response without a socket waits for the one before it.
      if (!res.socket) closeCallbacksOf(socket).add(finish);
    }
  }

  /** Calls `then` once, after the callbacks that were added before; at once if the end has come. */
  when(then: () => void): void {
    if (this.#isOver) then();
    else this.#callbacks.push(then);
  }

  /** Calls `then` once, before all other callbacks; at once if the end has come. */
  first(then: () => void): void {
    if (this.#isOver) then();
    else this.#callbacks.unshift(then);
  }
}

function closeCallbacksOf(socket: Socket): Set<() => void> {
  const known = onSocketClose.get(socket);
  if (known !== undefined) return known;
  const callbacks = new Set<() => void>();
  onSocketClose.set(socket, callbacks);
  socket.once('close', () => {
    for (const callback of callbacks) callback();
  });
  return callbacks;
}

/** Whether the client has left. */
export function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  return res.destroyed || req.socket.destroyed;
}

/** Lets out what was written in this tick, which Node holds back until its end. */
export function uncork({ socket }: ServerResponse): void {
  for (let corks = socket?.writableCorked ?? 0; corks > 0; corks--) socket?.uncork();
}

/** Ends a response in a way that tells its client that it is incomplete. */
export function breakOff(res: ServerResponse): void {
  // RFC 9112, section 6.3: a body with neither chunks nor a length ends when the connection closes,
  // so only a reset tells an incomplete body from a complete one.
  const endsWithConnection = !res.chunkedEncoding && !res.hasHeader('content-length');
  // Otherwise, Node would drop what was written in this tick.
  uncork(res);
  const { socket } = res;
  if (res.headersSent && endsWithConnection && socket !== null) reset(socket);
  res.destroy();
}

function reset(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    // A TLS connection cannot be reset, but a close without close_notify looks incomplete, too.
  }
}
