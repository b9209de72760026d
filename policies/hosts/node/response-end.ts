import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The responses that wait for the end of a connection; one listener for all of them. */
const waiting = new WeakMap<Socket, Set<() => void>>();

/**
 * The end of a response, or of its connection: a response that waits behind another one on its
 * connection hears nothing of its own end.
 */
export class ResponseEnd {
  #isOver = false;
  #then: (() => void)[] = [];

  constructor(req: IncomingMessage, res: ServerResponse) {
    const { socket } = req;
    const over = () => {
      if (this.#isOver) return;
      this.#isOver = true;
      waiting.get(socket)?.delete(over);
      res.off('close', over);
      const all = this.#then;
      this.#then = [];
      for (const then of all) then();
    };
    // Neither says twice that it is; who asks shall be ready when told.
    if (isGone(req, res)) queueMicrotask(over);
    else {
      res.on('close', over);
      // Without the socket yet, it waits for the response before it.
      if (!res.socket) waitersOf(socket).add(over);
    }
  }

  /** Calls `then` once, behind who asked before. */
  when(then: () => void): void {
    if (this.#isOver) then();
    else this.#then.push(then);
  }

  /** The same, before all others. */
  first(then: () => void): void {
    if (this.#isOver) then();
    else this.#then.unshift(then);
  }
}

function waitersOf(socket: Socket): Set<() => void> {
  const known = waiting.get(socket);
  if (known !== undefined) return known;
  const waiters = new Set<() => void>();
  waiting.set(socket, waiters);
  socket.once('close', () => {
    for (const tell of waiters) tell();
  });
  return waiters;
}

/** Whether the client has left. */
export function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  return res.destroyed || req.socket.destroyed;
}

/** Ends a response so that its client can tell that it is not whole. */
export function breakOff(res: ServerResponse): void {
  // RFC 9112, section 6.3: without chunks and length the body ends with the connection, so that
  // only a reset tells a broken body from a whole one.
  const endsWithConnection = !res.chunkedEncoding && !res.hasHeader('content-length');
  if (res.headersSent && endsWithConnection && res.socket !== null) reset(res.socket);
  res.destroy();
}

function reset(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    // A TLS connection cannot be reset; without its close_notify it does not look whole either.
  }
}
