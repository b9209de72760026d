import { differences, type Fingerprint, fingerprintOf } from './fingerprint.ts';
import type { KeyMaterial } from './key.ts';
import type { Digest } from '../shared/exchange.ts';
import { nextTurn } from '../shared/turns.ts';
import type { ListedEntry, Store } from './stores/store.ts';

/** A stored request, and the parts in which it differs from the one that is asked about. */
export interface Near {
  readonly key: string;
  readonly differs: readonly string[];
  /** Seconds since it was stored. */
  readonly age: number;
}

const pageSize = 200;
const maxLookedAt = 20_000;
const maxMs = 1500;
const kept = 5;

/** The stored requests that differ from `material` in the fewest parts, of those that a short search finds. */
export async function nearest(
  material: KeyMaterial,
  store: Store,
  digest: Digest,
  now: number,
): Promise<readonly Near[]> {
  const own = fingerprintOf(material, await material.counting, digest);
  const until = performance.now() + maxMs;
  let best: Near[] = [];
  let looked = 0;
  for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null;) {
    const page = await store.list({}, { limit: pageSize, cursor });
    const found = page.entries.map((entry) => ({
      key: entry.key,
      differs: differing(material, own, entry),
      age: Math.max(0, Math.floor((now - entry.head.storedAt) / 1000)),
    }));
    best = [...best, ...found]
      .toSorted((one, other) => one.differs.length - other.differs.length || one.age - other.age)
      .slice(0, kept);
    looked += page.entries.length;
    if (looked >= maxLookedAt || performance.now() > until) break;
    ({ cursor } = page);
    // A store in this process answers at once, and others are to have their turn.
    await nextTurn();
    isFirst = false;
  }
  return best;
}

function differing(material: KeyMaterial, own: Fingerprint, entry: ListedEntry): string[] {
  const [, scope] = entry.key.split(':');
  return [
    ...(entry.head.namespace === material.namespace ? [] : ['namespace']),
    ...(scope === material.scope ? [] : ['scope']),
    ...differences(own, entry.head.fingerprint),
  ];
}
