import type { Digest } from '../../shared/exchange.ts';
import type { CachedResponse } from '../entry.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { dividedUsage } from './item-usage.ts';
import { type Items, weightsOf } from './items.ts';

/** What an answer says beside its items stands in every entry: of all of them together. */
const maxCopiedBytes = 8 * 1024 * 1024;

export type ItemEntry = { readonly key: string; readonly entry: CachedResponse };

/**
 * The entries of the inputs that `whole` answers, each as though it had been asked for alone; a
 * reason where the answer has not one item for each of them, in the length of all others, or says
 * much beside.
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
    const told = tokens === null ? null : { total: tokens, saved: 0 };
    entries.set(key, {
      ...whole,
      usage,
      fingerprint: fingerprintOf(material, await material.counting, digest),
      body: rules.joinItems({ ...answer, items: [item] }, told),
    });
  }
  return Array.from(entries, ([key, entry]) => ({ key, entry }));
}
