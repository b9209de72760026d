import { countServed, type Decision } from '../../llm-cache/decision.ts';
import { hitReply, joinedReply, unavailableReply } from '../../llm-cache/replies.ts';
import { Call } from './call.ts';
import type { Delivery } from './delivery.ts';
import { follow, gone, replay, served } from './replay.ts';

/**
 * Does what was decided, and says what the client gets. Rejects with what the handler throws, and
 * where an answer of the cache's own cannot be given.
 */
export async function deliver(decision: Decision, delivery: Delivery): Promise<Response> {
  const { exchange, tally } = delivery;
  switch (decision.kind) {
    case 'gone':
      return gone(delivery);
    // Who answered is noted first: a response is over, and in the books, when it is handed out.
    case 'hit': {
      served(exchange, 'exact', decision.entry);
      const hit = replay(hitReply(decision), delivery);
      countServed(decision, tally);
      return hit;
    }
    case 'joined': {
      served(exchange, 'coalesced', decision.entry);
      const joined = replay(joinedReply(decision), delivery);
      countServed(decision, tally);
      return joined;
    }
    case 'following': {
      exchange.served = { cacheType: 'coalesced', facts: decision.flight.answer };
      const following = follow(decision, delivery);
      countServed(decision, tally);
      return following;
    }
    case 'unavailable':
      return replay(unavailableReply(decision, exchange.request.protocol), delivery);
    default:
      return new Call(decision, delivery).response();
  }
}
