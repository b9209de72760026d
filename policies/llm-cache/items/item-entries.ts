import type { Digest } from '../../shared/exchange.ts';
import type { CachedResponse } from '../entry.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { dividedUsage } from './item-usage.ts';
import { type Items, weightsOf } from './items.ts';

/** Every entry repeats what the answer says besides its items: the most bytes of all copies together. */
const maxCopiedBytes = 8 * 1024 * 1024;

export type ItemEntry = { readonly key: string; readonly entry: CachedResponse };

/**
 * Splits `whole` into one entry per input, each as if the input had been requested alone. Returns a
 * reason if the answer does not have one item of equal length for each input, or if it says too much
 * besides its items.
 */
export async function itemEntries(
  { rules, asked }: Items,
  whole: CachedResponse,
  digest: Digest,
): Promise<readonly ItemEntry[] | 'incomplete' | 'too-large'> {
  const answer = rules.readItems(whole.body, asked.length);
  if (answer === null) return 'incomplete';
  const beside = JSON.stringify(answer.rest).length;
  if (asked.length > 1 && beside * asked.length > maxCopiedBytes) return 'too-large';
  const usages = dividedUsage(whole.usage, weightsOf(asked));
  const entries = new Map<string, CachedResponse>();
  for (const [at, { key, material }] of asked.entries()) {
    const item = answer.items[at];
    if (item === undefined || entries.has(key)) continue;
    const usage = usages[at] ?? null;
    const tokens = usage?.inputTokens ?? null;
    const reported = tokens === null ? null : { total: tokens, saved: 0 };
    entries.set(key, {
      ...whole,
      usage,
      fingerprint: fingerprintOf(material, await material.counting, digest),
      body: rules.joinItems({ ...answer, items: [item] }, reported),
    });
  }
  return Array.from(entries, ([key, entry]) => ({ key, entry }));
}
