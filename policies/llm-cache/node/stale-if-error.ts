import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { NodeExchange } from '../../shared/node/exchange.ts';
import { isFailing } from '../response-rules.ts';

/**
 * Has `answer` called in place of an upstream that fails before its first byte: with the status that
 * it gave, or null when it gave none. Call it behind everything else that wraps the response.
 */
export function staleIfError(
  res: ServerResponse,
  { call, carrier }: Pick<NodeExchange, 'call' | 'carrier'>,
  answer: (status: number | null) => void,
): void {
  const before: OutgoingHttpHeaders = { ...res.getHeaders() };
  call.replaceFailures({
    isFailing,
    isFailure: (status, text) => carrier.isFailure(status, text),
    answer: (status) => {
      for (const name of res.getHeaderNames()) res.removeHeader(name);
      for (const [name, value] of Object.entries(before)) {
        if (value !== undefined) res.setHeader(name, value);
      }
      res.statusMessage = 'OK';
      answer(status);
    },
  });
}
