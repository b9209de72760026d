import { differences, type Fingerprint } from './fingerprint.ts';
import { nextTurn } from '../shared/turns.ts';
import type { ListedEntry, Store } from './stores/store.ts';

/** A stored request, and the parts in which it differs from the sought one. */
export interface Near {
  readonly key: string;
  readonly differs: readonly string[];
  /** Seconds since it was stored. */
  readonly age: number;
  readonly model: string | null;
  /** The id of the consumer whose request stored it. */
  readonly consumer: string | null;
}

const pageSize = 200;
const maxExamined = 20_000;
const maxMs = 1500;
const maxResults = 5;

/** A request to compare with the stored ones. */
export interface Sought {
  readonly key: string;
  readonly fingerprint: Fingerprint;
}

/**
 * Returns the stored requests that differ from `sought` in the fewest parts, within a bounded search.
 * Leaves out the entry under its own key.
 */
export async function nearest(sought: Sought, store: Store, now: number): Promise<readonly Near[]> {
  const until = performance.now() + maxMs;
  let best: Near[] = [];
  let examined = 0;
  for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null;) {
    const page = await store.list({}, { limit: pageSize, cursor });
    const found = page.entries
      .filter(({ key }) => key !== sought.key)
      .map((entry) => ({
        key: entry.key,
        differs: differing(sought, entry),
        age: Math.max(0, Math.floor((now - entry.head.storedAt) / 1000)),
        model: entry.head.model ?? entry.head.requestedModel,
        consumer: entry.head.consumer,
      }));
    best = [...best, ...found]
      .toSorted((one, other) => one.differs.length - other.differs.length || one.age - other.age)
      .slice(0, maxResults);
    examined += page.entries.length;
    if (examined >= maxExamined || performance.now() > until) break;
    ({ cursor } = page);
    // A store in this process answers without yielding to the event loop.
    await nextTurn();
    isFirst = false;
  }
  return best;
}

function differing(sought: Sought, entry: ListedEntry): string[] {
  const [namespace, scope] = sought.key.split(':');
  const [otherNamespace, otherScope] = entry.key.split(':');
  return [
    ...(otherNamespace === namespace ? [] : ['namespace']),
    ...(otherScope === scope ? [] : ['scope']),
    ...differences(sought.fingerprint, entry.head.fingerprint),
  ];
}
