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

/** Which inputs of a request are stored, by key; all fit into one answer. */
export type StoredItems = ReadonlyMap<string, StoredItem>;

/** Answers that are asked for at once: what a store has read of them is held by it alone. */
const atOnce = 200;
/** Answers that are read in one turn of the event loop. */
const readATurn = 50;

/** How stored answers are looked for. */
export interface Finding {
  readonly store: EntryStore;
  readonly controls: ClientControls;
  readonly now: number;
  /** Of their bodies together. */
  readonly maxBytes: number;
}

/** What is stored of the inputs, and fresh; null where it is too much. A store that fails has none of them. */
export async function findItems(
  { asked, rules }: Items,
  { store, controls, now, maxBytes }: Finding,
): Promise<StoredItems | null> {
  const items = [...new Set(asked)];
  const found = new Map<string, StoredItem>();
  let bytes = 0;
  for (let from = 0; from < items.length; from += atOnce) {
    const some = items.slice(from, from + atOnce);
    const entries = await Promise.all(some.map(({ key }) => store.get(key).catch(() => undefined)));
    for (const [at, entry] of entries.entries()) {
      if (at % readATurn === readATurn - 1) await nextTurn();
      if (entry === undefined || standingOf(entry, controls, now) !== 'fresh') continue;
      bytes += entry.body.length;
      if (bytes > maxBytes) return null;
      const answer = rules.readItems(entry.body, 1);
      const key = some[at]?.key;
      if (answer !== null && key !== undefined) found.set(key, { entry, answer });
    }
  }
  return alike(found);
}

/** Those that are like the newest: a model may have changed since the others were stored. */
function alike(found: StoredItems): StoredItems {
  const all = [...found.values()];
  const newest = all.reduce<StoredItem | null>(
    (best, one) => (best === null || one.entry.storedAt > best.entry.storedAt ? one : best),
    null,
  );
  if (all.every(({ answer }) => answer.shape === newest?.answer.shape)) return found;
  return new Map([...found].filter(([, { answer }]) => answer.shape === newest?.answer.shape));
}

/** One entry put together of what is stored; every input is. */
export function wholeEntry({ asked, rules }: Items, stored: StoredItems): CachedResponse {
  const parts = asked.map((item) => storedAs(item, stored));
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

function storedAs({ key }: Item, stored: StoredItems): StoredItem {
  const found = stored.get(key);
  if (found === undefined) throw new Error('an input that is not stored');
  return found;
}
