import type { ExplainQuestion } from '../../schemas/explain.ts';
import type { BodyReason, LlmRequest } from '../shared/exchange.ts';
import type { Identity } from '../shared/identity/identity.ts';
import { nodeReading } from '../hosts/node/body.ts';
import { pathOf, queryOf } from '../hosts/node/request-target.ts';
import type { Protocol } from '../shared/protocols/protocol.ts';
import { RequestBody } from '../shared/request-body.ts';
import type { SimulatedRequest } from './conditions.ts';

/** Reads a body like a real request's, but without remembering its key. */
const reading = { ...nodeReading, memory: null };

/** Creates the hypothetical request of a question; `identify` returns its consumer's identity. */
export function simulatedRequest(
  question: ExplainQuestion,
  bytes: Uint8Array,
  protocol: Protocol,
  identify: (consumer: unknown) => Identity,
): LlmRequest {
  const path = pathOf(question.path);
  const headers = headersOf(question);
  return {
    protocol,
    path,
    query: queryOf(question.path),
    forwardedUrl: question.path,
    apiEndpoint: question.apiEndpoint,
    requestId: null,
    identity: identify(question.consumer),
    account: { take: () => true, give: () => {} },
    left: new AbortController().signal,
    whenOver: () => {},
    header: (name) => headers.get(name)?.join(', '),
    headers: Object.fromEntries(headers),
    takesGzip: false,
    ownHeaders: [...headers].flatMap(([name, values]) => values.flatMap((value) => [name, value])),
    body: async (maxBytes): Promise<RequestBody | BodyReason> =>
      bytes.length > maxBytes ? 'request-too-large' : new RequestBody([bytes], reading),
  };
}

/** Creates the same request as a condition of the gateway sees it. */
export function conditionRequest(question: ExplainQuestion): SimulatedRequest {
  const headers = Object.fromEntries(
    [...headersOf(question)].map(([name, values]) => [name, values.join(', ')]),
  );
  const { path } = question;
  return {
    request: { method: 'POST', url: path, originalUrl: path, headers },
    isAuthenticated: question.consumer !== null,
  };
}

/** The content type defaults to JSON. */
function headersOf({ headers }: ExplainQuestion): Map<string, readonly string[]> {
  return new Map([
    ['content-type', ['application/json']],
    ...Object.entries(headers).map(
      ([name, value]) => [name.toLowerCase(), [value].flat()] as const,
    ),
  ]);
}
