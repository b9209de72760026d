import type { Decision } from '../decision.ts';
import { hitReply, joinedReply, unavailableReply } from '../replies.ts';
import { Call } from './call.ts';
import type { Delivery } from './delivery.ts';
import { follow, gone, replay, served } from './replay.ts';

/** Does what was decided, and says what the client gets. Rejects with what the handler throws. */
export async function deliver(decision: Decision, delivery: Delivery): Promise<Response> {
  const { exchange } = delivery;
  switch (decision.kind) {
    case 'gone':
      return gone(delivery);
    case 'hit':
      served(exchange, 'exact', decision.entry);
      return replay(hitReply(decision), delivery);
    case 'joined':
      served(exchange, 'coalesced', decision.entry);
      return replay(joinedReply(decision), delivery);
    case 'following':
      exchange.served = { cacheType: 'coalesced', facts: decision.flight.answer };
      return follow(decision, delivery);
    case 'unavailable':
      return replay(unavailableReply(decision, exchange.request.protocol), delivery);
    default:
      return new Call(decision, delivery).response();
  }
}
