import type { Answer } from '../shared/answer.ts';
import { formatOf } from '../shared/format.ts';
import type { Protocol } from '../shared/protocols/protocol.ts';
import type { RefusalReason } from '../shared/reasons.ts';
import type { BodyFacts } from '../shared/request-body.ts';

/** Returns the first reason why an answer may not be stored; null if it may. */
export function refusalOf(
  answer: Answer,
  protocol: Protocol,
  request: Pick<BodyFacts, 'isStream' | 'parts' | 'setsLimit'>,
): RefusalReason | null {
  const { status, headers } = answer;
  // The call failed before the upstream sent a status.
  if (status === 0 && answer.fault !== null) return answer.fault;
  if (status !== 200) return 'status';
  if (answer.fault !== null) return answer.fault;
  // No protocol here answers a stream request with JSON, or a plain request with events.
  if (formatOf(headers['content-type']) !== (request.isStream ? 'sse' : 'json'))
    return 'content-type';
  if (answer.refused) return 'refusal';
  if (answer.parts !== null && answer.parts < request.parts) return 'incomplete';
  for (const reason of answer.finishReasons) {
    if (reason === null) return 'no-finish-reason';
    if (protocol.complete.includes(reason)) continue;
    if (!protocol.limited.includes(reason)) return 'finish-reason';
    if (!request.setsLimit) return 'limit';
  }
  return null;
}

/** Statuses of an upstream that cannot answer at the moment (RFC 5861), and of its rate limit. */
const failing: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

/** Returns whether an expired entry may replace an answer with that status. */
export function isFailing(status: number): boolean {
  return failing.has(status);
}
