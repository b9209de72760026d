import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { NodeExchange } from './exchange.ts';
import { isFailing } from '../../llm-cache/response-rules.ts';

/**
 * Has `answer` called in place of an upstream that fails before its first byte: with the status that
 * it gave, or null when it gave none. Call it behind everything else that wraps the response.
 */
export function staleIfError(
  res: ServerResponse,
  { call, host }: Pick<NodeExchange, 'call' | 'host'>,
  answer: (status: number | null) => void,
): void {
  const before: OutgoingHttpHeaders = { ...res.getHeaders() };
  call.replaceFailures({
    isFailing,
    isFailure: (status, text) => host.isFailure(status, text),
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
