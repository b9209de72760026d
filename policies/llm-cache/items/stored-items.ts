import type { ItemAnswer } from '../../shared/protocols/protocol.ts';
import { nextTurn } from '../../shared/turns.ts';
import type { ClientControls } from '../client-controls.ts';
import type { CachedResponse } from '../entry.ts';
import { standingOf } from '../request-rules.ts';
import type { EntryStore } from '../stores/store.ts';
import { inputUsage, totalTokens } from './item-usage.ts';
import type { Item, Items } from './items.ts';

/** An input whose answer is stored. */
export interface StoredItem {
  readonly entry: CachedResponse;
  readonly answer: ItemAnswer;
}

/** The stored inputs of a request, by key. All have the same shape, so that one answer can hold them. */
export type StoredItems = ReadonlyMap<string, StoredItem>;

/** Answers to request from the store at a time: only the store accounts for what it has read. */
const batchSize = 200;
/** Answers to parse in one turn of the event loop. */
const readsPerTurn = 50;

/** Where and how to look for stored answers. */
export interface FindOptions {
  readonly store: EntryStore;
  readonly controls: ClientControls;
  readonly now: number;
  /** The most bytes of all bodies together. */
  readonly maxBytes: number;
}

/** Returns the fresh stored inputs; null if they exceed `maxBytes`. A failing store counts as empty. */
export async function findItems(
  { asked, rules }: Items,
  { store, controls, now, maxBytes }: FindOptions,
): Promise<StoredItems | null> {
  const items = [...new Set(asked)];
  const found = new Map<string, StoredItem>();
  let bytes = 0;
  for (let from = 0; from < items.length; from += batchSize) {
    const batch = items.slice(from, from + batchSize);
    const entries = await Promise.all(
      batch.map(({ key }) => store.get(key).catch(() => undefined)),
    );
    for (const [at, entry] of entries.entries()) {
      if (at % readsPerTurn === readsPerTurn - 1) await nextTurn();
      if (entry === undefined || standingOf(entry, controls, now) !== 'fresh') continue;
      bytes += entry.body.length;
      if (bytes > maxBytes) return null;
      const answer = rules.readItems(entry.body, 1);
      const key = batch[at]?.key;
      if (answer !== null && key !== undefined) found.set(key, { entry, answer });
    }
  }
  return sameShape(found);
}

/** Keeps the items with the newest one's shape: the model may have changed since the others were stored. */
function sameShape(found: StoredItems): StoredItems {
  const all = [...found.values()];
  const newest = all.reduce<StoredItem | null>(
    (best, one) => (best === null || one.entry.storedAt > best.entry.storedAt ? one : best),
    null,
  );
  if (all.every(({ answer }) => answer.shape === newest?.answer.shape)) return found;
  return new Map([...found].filter(([, { answer }]) => answer.shape === newest?.answer.shape));
}

/** Merges the stored items into one entry. Throws if an input is not stored. */
export function wholeEntry({ asked, rules }: Items, stored: StoredItems): CachedResponse {
  const parts = asked.map((item) => requireStored(item, stored));
  const [first] = parts;
  if (first === undefined) throw new Error('a request without inputs');
  const total = totalTokens(parts.map(({ entry }) => entry.usage));
  const items = parts.flatMap(({ answer }) => answer.items);
  const usage = total === null ? null : { total, saved: total };
  return {
    ...first.entry,
    responseId: null,
    usage: inputUsage(total),
    storedAt: Math.min(...parts.map(({ entry }) => entry.storedAt)),
    freshUntil: Math.min(...parts.map(({ entry }) => entry.freshUntil)),
    body: rules.joinItems({ ...first.answer, items }, usage),
  };
}

function requireStored({ key }: Item, stored: StoredItems): StoredItem {
  const found = stored.get(key);
  if (found === undefined) throw new Error('an input that is not stored');
  return found;
}
