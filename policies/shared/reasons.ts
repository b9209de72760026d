/**
 * Every word that the cache uses to explain itself: the `detail` of a `Cache-Status` header, the
 * keys of the counters and the README's troubleshooting tables. The list is closed.
 */

/** Why the cache stood aside, or the client got a fresh answer. */
export const asideReasons = {
  'no-cache': 'the client sent `Cache-Control: no-cache`',
  'no-store': 'the client sent `Cache-Control: no-store` or `X-Cache-Control: no-store`',
  refresh: 'the client sent `X-Cache-Control: refresh`',
  'max-age': 'the client sent `Cache-Control: max-age=N` and what is stored is older',
  'no-scope':
    'no scope to keep the answer in: `scope: consumer` without a consumer, `scope: credential` without a credential, or a consumer that cannot be told from others for certain',
  'request-too-large': 'the request body, decoded, is larger than `maxRequestBytes`',
  'buffer-limit':
    'the bodies held at once would pass `limits.bufferedBytes`, or those of one client its part of it',
  'not-json': 'the request body is not a JSON object, or its `Content-Type` is another',
  'not-utf8': 'the request body is not valid UTF-8, or its `Content-Type` names another charset',
  'too-many-members': 'the request body has more than 1,000 members',
  encoding:
    'the request’s `Content-Encoding` is unknown to this runtime, or the body does not decode',
  stateful:
    'a replay would lose an effect at the provider (`background: true`, `conversation`, `container`, a method override)',
  'not-asked': 'with `mode: opt-in`, the client did not send `X-Cache-Control: cache`',
  'layer-off': 'the client sent `X-Cache-Type: semantic`, and there is no semantic layer',
  partial:
    '`perItem`: some of the inputs are stored, and the provider was asked for the others alone',
  'only-if-cached':
    'the client sent `Cache-Control: only-if-cached` and nothing stored serves: 504',
  'store-error': 'the store failed, or what it gave cannot be delivered; the log says how',
  'slow-reader':
    'a reader of a shared stream fell more than `maxResponseBytes` behind, and its response was broken off',
} as const;

/** Why an answer was delivered and not stored. */
export const refusalReasons = {
  status: 'the status is not 200',
  'no-body': 'the body is empty',
  'too-large': 'the body, decoded, is larger than `maxResponseBytes`, or than the store',
  'buffer-limit':
    'the bodies held at once would pass `limits.bufferedBytes`, or those of one client its part of it',
  aborted: 'the upstream broke off before the end',
  'client-left': 'the client left before the end',
  encoding: 'the `Content-Encoding` is unknown to this runtime, or the body does not decode',
  'content-type':
    'the `Content-Type` is not what the request asked for: `text/event-stream` for a stream, else JSON',
  malformed:
    'not JSON in UTF-8, a stream with a payload that is not, or with lines that no event stream has',
  incomplete:
    'not what the protocol calls a whole answer, fewer choices, vectors or results than the request asked for, or a stream without its ending',
  'error-in-body':
    'the body carries an error, in whatever part of it: a choice, an output item, a tool, a filter',
  'after-ending': 'the stream goes on after its ending',
  'no-finish-reason': 'a choice has no finish reason',
  'finish-reason':
    'the finish reason is not one of a complete answer (`content_filter`, `pause_turn`, `SAFETY`, …)',
  refusal: 'the model refused, a filter took part of the answer, or the prompt was blocked',
  limit: 'cut at a length limit that the request did not set',
  expired: 'what the answer names at the provider (a voice, a container) is gone there',
  'store-error': 'the store failed; the log says how',
} as const;

export type AsideReason = keyof typeof asideReasons;
export type RefusalReason = keyof typeof refusalReasons;
