import { type EntryFilter, matchesFilter } from '../store.ts';
import { highOf, lowOf, markOf } from './marks.ts';
import type { Slots } from './slots.ts';

/** Whether a slot is under `begin` and has what the filter asks for. What cannot be read matches: rather thrown out than kept. */
export function matcher(
  filter: EntryFilter,
  begin: string,
): (slots: Slots, slot: number) => boolean {
  const isUnder = (key: string) => (begin === '' ? !key.includes(' ') : key.startsWith(begin));
  const { namespace, model, consumer } = filter;
  if (namespace === undefined && model === undefined && consumer === undefined) {
    return (slots, slot) => isUnder(slots.keyOf(slot));
  }
  const namespaceMark = markOf(namespace ?? null);
  const modelMark = markOf(model ?? null);
  const consumerMark = markOf(consumer ?? null);
  return (slots, slot) => {
    const owner = slots.owners.get(slot);
    if (namespace !== undefined && highOf(owner) !== namespaceMark) return false;
    if (consumer !== undefined && lowOf(owner) !== consumerMark) return false;
    const models = slots.models.get(slot);
    if (model !== undefined && highOf(models) !== modelMark && lowOf(models) !== modelMark) {
      return false;
    }
    if (!isUnder(slots.keyOf(slot))) return false;
    const head = slots.head(slot);
    return head === undefined || matchesFilter(head, filter);
  };
}
