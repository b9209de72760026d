import { protocols } from '../shared/protocols/index.ts';
import type { ProtocolName } from '../shared/protocols/protocol.ts';
import type { Usage } from '../shared/usage.ts';
import type { PriceList } from './price-list.ts';
import { costsOf } from './pricing.ts';

/** The parts of a stored answer that decide its cost. */
export interface StoredAnswer {
  readonly protocol: ProtocolName;
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly usage: Usage | null;
}

/**
 * Returns the answer's cost at list price in USD, or null if unknown. Takes the protocol's default
 * provider.
 */
export function answerCost(answer: StoredAnswer, prices: PriceList): number | null {
  const { usage, model, requestedModel } = answer;
  const protocol = protocols.find(({ name }) => name === answer.protocol);
  if (usage === null || protocol === undefined) return null;
  const price = prices.find({ provider: protocol.provider, model, requestedModel });
  return price && costsOf(usage, price, protocol).total;
}
