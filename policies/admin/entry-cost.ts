import type { EntryHead } from '../llm-cache/entry.ts';
import type { PriceList } from '../llm-usage/price-list.ts';
import { costsOf } from '../llm-usage/pricing.ts';
import { protocolNamed } from '../shared/protocols/index.ts';

/** What a hit on the entry saves, in USD at list price; null where that is not known. */
export function entryCost(
  { protocol: name, usage, model, requestedModel }: EntryHead,
  prices: PriceList,
): number | null {
  if (usage === null) return null;
  const protocol = protocolNamed(name);
  if (protocol === null) return null;
  const price = prices.find({ provider: protocol.provider, model, requestedModel });
  return price === null ? null : costsOf(usage, price, protocol).total;
}
