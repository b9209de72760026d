import { protocols } from '../shared/protocols/index.ts';
import type { ProtocolName } from '../shared/protocols/protocol.ts';
import type { Usage } from '../shared/usage.ts';
import type { PriceList } from './price-list.ts';
import { costsOf } from './pricing.ts';

/** What is known of an answer that was stored. */
export interface StoredAnswer {
  readonly protocol: ProtocolName;
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly usage: Usage | null;
}

/** What an answer costs at list price, in USD; null where that is not known. The provider is the protocol's own. */
export function answerCost(answer: StoredAnswer, prices: PriceList): number | null {
  const { usage, model, requestedModel } = answer;
  const protocol = protocols.find(({ name }) => name === answer.protocol);
  if (usage === null || protocol === undefined) return null;
  const price = prices.find({ provider: protocol.provider, model, requestedModel });
  return price && costsOf(usage, price, protocol).total;
}
