import type { AnswerFacts, PendingAnswer } from '../shared/answer.ts';
import type { CacheType, Exchange } from '../shared/exchange.ts';
import { countServed, type Decision, outcomeOf } from './decision.ts';
import type { Delivery } from './delivery.ts';
import { factsOf } from './entry.ts';
import type { Follower } from './follower.ts';
import { ForwardedCall } from './forwarded-call.ts';
import {
  followingHead,
  hitReply,
  joinedReply,
  type Reply,
  type ReplyHead,
  unavailableReply,
} from './replies.ts';
import type { Counts, OutcomeName } from './stats.ts';

/**
 * A host's side of delivery; `R` is the result for its caller. If `reply` or `stream` throws before
 * the head is sent, the host must leave no trace of that answer.
 */
export interface ClientPort<R> {
  /** Sends a complete answer. */
  reply(reply: Reply): R;
  /** Lets the client read along with a stream that is under way. */
  stream(head: ReplyHead, follower: Follower): R;
  /** Forwards the request to the upstream. */
  forward(call: ForwardedCall): R;
  /** Ends the exchange without an answer: the client has left. */
  gone(): R;
}

/** Carries out a decision through the host's port. */
export function deliver<R>(decision: Decision, delivery: Delivery, port: ClientPort<R>): R {
  const { exchange, settings } = delivery;
  exchange.cacheKey = 'key' in decision ? decision.key : null;
  const debugKey = settings.debugHeaders && 'key' in decision ? decision.key : null;
  switch (decision.kind) {
    case 'gone':
      return port.gone();
    case 'hit': {
      noteAnswer(exchange, 'exact', factsOf(decision.entry));
      const result = port.reply(withKey(hitReply(decision, settings.compressHits), debugKey));
      return counted(decision, delivery, 'hit', result);
    }
    case 'joined': {
      noteAnswer(exchange, 'coalesced', factsOf(decision.entry));
      const result = port.reply(withKey(joinedReply(decision), debugKey));
      return counted(decision, delivery, 'coalesced', result);
    }
    case 'following': {
      noteAnswer(exchange, 'coalesced', decision.flight.reader);
      const head = withKey(followingHead(decision), debugKey);
      const result = port.stream(head, decision.follower);
      return counted(decision, delivery, 'coalesced', result);
    }
    case 'unavailable': {
      const reply = withKey(unavailableReply(decision, exchange.request.protocol), debugKey);
      const isMarked = settings.statusHeader === 'always';
      return port.reply(isMarked ? withHeader(reply, 'X-Cache', 'MISS') : reply);
    }
    default:
      return port.forward(new ForwardedCall(decision, delivery, debugKey));
  }
}

/** Releases a decision that cannot be carried out: the client has left, or another handler has answered. */
export function letGo(decision: Decision, tally: Counts): void {
  countServed(decision, tally);
  if (decision.kind === 'following') decision.follower.leave();
  if (!('fallback' in decision)) return;
  decision.flight?.abort('client-left');
  if (decision.fallback !== null) tally.count(outcomeOf(decision), decision.reason);
}

/** Call before the answer is sent: the response may end, and be recorded, while the port sends it. */
function noteAnswer(
  exchange: Exchange,
  type: CacheType,
  answer: AnswerFacts | PendingAnswer,
): void {
  exchange.cacheType = type;
  exchange.answer = answer;
}

function counted<R>(decision: Decision, delivery: Delivery, outcome: OutcomeName, result: R): R {
  const { timings, tally, startedAt } = delivery;
  timings.firstByte(tally, outcome, (performance.now() - startedAt) / 1000);
  countServed(decision, tally);
  return result;
}

function withKey<H extends ReplyHead>(head: H, key: string | null): H {
  return key === null ? head : withHeader(head, 'X-Cache-Key', key);
}

function withHeader<H extends ReplyHead>(head: H, name: string, value: string): H {
  return { ...head, headers: { ...head.headers, [name]: value } };
}
