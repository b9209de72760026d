import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Who waits for the end of a connection; one listener for all of them. */
const waiting = new WeakMap<Socket, Set<() => void>>();

/**
 * Calls `then` once, when the response is over or its connection is gone: a response that waits
 * behind another one on its connection hears nothing of its end.
 */
export function onceOver(req: IncomingMessage, res: ServerResponse, then: () => void): void {
  // Neither says twice that it is; who asks shall be ready when told.
  if (isGone(req, res)) return queueMicrotask(then);
  const { socket } = req;
  const over = () => {
    res.off('close', over);
    waiting.get(socket)?.delete(over);
    then();
  };
  res.once('close', over);
  waitersOf(socket).add(over);
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

/** Whether nobody is there any more to answer. */
export function isGone(req: IncomingMessage, res: ServerResponse): boolean {
  return res.destroyed || req.socket.destroyed;
}
