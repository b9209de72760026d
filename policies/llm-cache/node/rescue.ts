import { IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { NodeExchange } from '../../shared/node/exchange.ts';
import { isFailing } from '../response-rules.ts';

/**
 * Watches for an upstream that fails before its first byte, and has `answer` called in its place:
 * with the status that it gave, or null when it gave none. Call it behind everything else that
 * wraps the response.
 */
export function rescue(
  res: ServerResponse,
  { lifeline, carrier }: Pick<NodeExchange, 'lifeline' | 'carrier'>,
  answer: (status: number | null) => void,
): void {
  const before: OutgoingHttpHeaders = { ...res.getHeaders() };
  let rescued = false;
  let answering = false;
  const instead = (status: number | null) => {
    rescued = true;
    answering = true;
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    for (const [name, value] of Object.entries(before)) {
      if (value !== undefined) res.setHeader(name, value);
    }
    res.statusMessage = 'OK';
    answer(status);
    answering = false;
  };
  const isOpen = () => !rescued && !res.headersSent && !res.destroyed;

  res.on('pipe', (source: Readable) => {
    if (!(source instanceof IncomingMessage) || source !== lifeline.upstream) return;
    if (!isOpen() || !isFailing(source.statusCode ?? 0)) return;
    source.unpipe(res);
    instead(source.statusCode ?? null);
    // Nobody waits for the rest of it.
    source.destroy();
  });
  lifeline.isRescued = () => {
    if (!isOpen()) return rescued;
    instead(null);
    return true;
  };

  /** True when what is being said is said by nobody any more: another answer stands in its place. */
  const isReplaced = (status: number, text?: unknown): boolean => {
    const isOurs = isOpen() && lifeline.upstream === null;
    if (isOurs && carrier.isFailure(status, text)) instead(null);
    return rescued && !answering;
  };
  const { writeHead, write, end } = res;
  res.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    if (isReplaced(Number(args[0]))) return this;
    return Reflect.apply(writeHead, this, args) as ServerResponse;
  };
  res.write = function (this: ServerResponse, ...args: unknown[]) {
    if (isReplaced(res.statusCode, args[0])) return true;
    return Reflect.apply(write, this, args) as boolean;
  } as typeof res.write;
  res.end = function (this: ServerResponse, ...args: unknown[]) {
    if (isReplaced(res.statusCode, args[0])) return this;
    return Reflect.apply(end, this, args) as ServerResponse;
  } as typeof res.end;
}
