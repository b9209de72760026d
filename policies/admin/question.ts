import type { ExplainQuestion } from '../../schemas/explain.ts';
import type { BodyReason, LlmRequest } from '../shared/exchange.ts';
import { nodeReading } from '../shared/node/body.ts';
import { pathOf } from '../shared/node/exchange.ts';
import type { Protocol } from '../shared/protocols/protocol.ts';
import { RequestBody } from '../shared/request-body.ts';
import type { Imagined } from './conditions.ts';

/** As the body of a request is read; what is asked about is not remembered. */
const reading = { ...nodeReading, memory: null };

/** A request that somebody asks about, instead of sending it. */
export function imaginedRequest(
  question: ExplainQuestion,
  bytes: Uint8Array,
  protocol: Protocol,
): LlmRequest {
  const path = pathOf(question.path);
  const headers = headersOf(question);
  return {
    protocol,
    path,
    query: question.path.slice(path.length),
    forwardedUrl: question.path,
    apiEndpoint: question.apiEndpoint,
    consumer: consumerIn(question),
    account: { take: () => true, give: () => {} },
    left: new AbortController().signal,
    header: (name) => headers.get(name)?.join(', '),
    ownHeader: (name) => headers.get(name) ?? [],
    body: async (maxBytes): Promise<RequestBody | BodyReason> =>
      bytes.length > maxBytes ? 'request-too-large' : new RequestBody([bytes], reading),
  };
}

/** The same as a condition of the gateway sees it. */
export function imagined(question: ExplainQuestion): Imagined {
  const headers = Object.fromEntries(
    [...headersOf(question)].map(([name, values]) => [name, values.join(', ')]),
  );
  const { path } = question;
  return {
    request: { method: 'POST', url: path, originalUrl: path, headers },
    isAuthenticated: question.consumer !== null,
  };
}

function consumerIn({ consumer }: ExplainQuestion): unknown {
  return typeof consumer === 'string' ? { id: consumer } : consumer;
}

function headersOf({ headers }: ExplainQuestion): Map<string, readonly string[]> {
  return new Map(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value].flat()]),
  );
}
