/**
 * Every reason that the cache gives: in the `detail` of a `Cache-Status` header, as a key of the
 * counters and in the tables of the documents. The list is closed.
 */

/** Why the cache bypassed a request, or why the client got a fresh answer. */
export const asideReasons = {
  'no-cache': 'the client sent `Cache-Control: no-cache`',
  'no-store': 'the client sent `Cache-Control: no-store` or `X-Cache-Control: no-store`',
  refresh: 'the client sent `X-Cache-Control: refresh`',
  'max-age': 'the client sent `Cache-Control: max-age=N`, and the stored answer is older',
  'no-scope':
    'it is not certain who may share the answer: `scope: consumer` without a consumer, `scope: credential` without a credential, or a consumer that cannot be told apart from others',
  'request-too-large': 'the request body, decoded, is larger than `maxRequestBytes`',
  'buffer-limit':
    'too many bytes of bodies are held at once: more than `limits.bufferedBytes`, or than one client’s share of it',
  'not-json': 'the request body is not a JSON object, or its `Content-Type` is not JSON',
  'not-utf8': 'the request body is not valid UTF-8, or its `Content-Type` names another charset',
  'too-many-members': 'the request body has more than 1,000 members',
  encoding:
    'this runtime does not know the request’s `Content-Encoding`, or the body does not decode',
  stateful:
    'a replay would skip a side effect at the provider (`background: true`, `conversation`, `container`, a method override)',
  'not-asked': 'with `mode: opt-in`, the client did not send `X-Cache-Control: cache`',
  'layer-off': 'the client sent `X-Cache-Type: semantic`, and there is no semantic layer',
  partial:
    '`perItem`: some of the inputs are stored, and the provider was asked only for the others',
  'only-if-cached':
    'the client sent `Cache-Control: only-if-cached`, and no stored answer serves: 504',
  'store-error': 'the store failed, or its entry could not be delivered; the log says why',
  'slow-reader':
    'a reader of a shared stream fell more than `maxResponseBytes` behind, and its response was cut off',
} as const;

/** Why an answer was delivered but not stored. */
export const refusalReasons = {
  status: 'the status is not 200',
  'no-body': 'the body is empty',
  'too-large': 'the body, decoded, is larger than `maxResponseBytes` or than the store',
  'buffer-limit':
    'too many bytes of bodies are held at once: more than `limits.bufferedBytes`, or than one client’s share of it',
  aborted: 'the upstream closed before the end of the answer',
  'client-left': 'the client left before the end of the answer',
  encoding: 'this runtime does not know the `Content-Encoding`, or the body does not decode',
  'content-type':
    'the `Content-Type` is not what the request asked for: `text/event-stream` for a stream, else JSON',
  malformed:
    'the body is not JSON in UTF-8, or the stream has a payload that is not, or lines that are not an event stream’s',
  incomplete:
    'the answer is not whole for its protocol, has fewer choices, vectors or results than the request asked for, or is a stream without its ending',
  'error-in-body': 'some part of the body is an error: a choice, an output item, a tool, a filter',
  'after-ending': 'the stream goes on after its ending',
  'no-finish-reason': 'a choice has no finish reason',
  'finish-reason':
    'the finish reason is not that of a complete answer (`content_filter`, `pause_turn`, `SAFETY`, …)',
  refusal: 'the model refused, a filter removed a part of the answer, or the prompt was blocked',
  limit: 'the answer was cut at a length limit that the request did not set',
  expired:
    'something that the answer refers to at the provider (a voice, a container) has expired there',
  'store-error': 'the store failed; the log says why',
} as const;

export type AsideReason = keyof typeof asideReasons;
export type RefusalReason = keyof typeof refusalReasons;
