import { IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Lifeline } from '../../shared/node/lifeline.ts';
import { isFailing } from '../response-rules.ts';

/** What the proxy policy says when it cannot reach the upstream. */
const proxysOwn502 = 'Bad gateway.';

/**
 * Watches for an upstream that fails before its first byte, and has `answer` called in its place:
 * with the status that it gave, or null when it gave none. Call it behind everything else that
 * wraps the response.
 */
export function rescue(
  res: ServerResponse,
  lifeline: Lifeline,
  answer: (status: number | null) => void,
): void {
  const before: OutgoingHttpHeaders = { ...res.getHeaders() };
  let rescued = false;
  const instead = (status: number | null) => {
    rescued = true;
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    for (const [name, value] of Object.entries(before)) {
      if (value !== undefined) res.setHeader(name, value);
    }
    res.statusMessage = 'OK';
    answer(status);
  };
  const isOpen = () => !rescued && !res.headersSent && !res.destroyed;

  res.on('pipe', (source: Readable) => {
    if (!(source instanceof IncomingMessage) || source !== lifeline.upstream) return;
    if (!isOpen() || !isFailing(source.statusCode ?? 0)) return;
    source.unpipe(res);
    source.resume();
    instead(source.statusCode ?? null);
  });
  lifeline.isRescued = () => {
    if (!isOpen()) return rescued;
    instead(null);
    return true;
  };

  const { end } = res;
  res.end = function (this: ServerResponse, ...args: unknown[]) {
    const isProxys = res.statusCode === 502 && lifeline.upstream === null;
    if (isOpen() && isProxys && String(args[0]) === proxysOwn502) {
      instead(null);
      return this;
    }
    return Reflect.apply(end, this, args) as ServerResponse;
  } as typeof res.end;
}
