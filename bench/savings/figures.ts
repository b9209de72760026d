import type { EvictionKind } from '../../policies/llm-cache/stores/bounded/eviction.ts';
import { clairvoyant } from './models/clairvoyant.ts';
import { type Model, possible } from './models/model.ts';
import { s3Fifo } from './models/s3-fifo.ts';
import { wTinyLfu, wTinyLfuByWorth } from './models/w-tiny-lfu.ts';
import { entryBytes, replay } from './replay.ts';
import type { Trace } from './trace.ts';

/** How much of what could be saved each policy saves, from 0 to 1. */
export interface Savings {
  readonly trace: Trace;
  readonly mebibytes: number;
  readonly shares: Readonly<Record<Policy, number>>;
  /** What the store says that twice the memory would add, and what twice the memory adds. */
  readonly twice: { readonly told: number; readonly real: number } | null;
}

/** The store itself, by its settings, and models of others beside it. */
export const policies = {
  worth: 'eviction: worth',
  lru: 'eviction: lru',
  s3Fifo: 'S3-FIFO',
  wTinyLfu: 'W-TinyLFU',
  wTinyLfuByWorth: 'W-TinyLFU by worth',
  clairvoyant: 'at most',
} as const;

export type Policy = keyof typeof policies;

const models: Readonly<Partial<Record<Policy, Model>>> = {
  s3Fifo,
  wTinyLfu,
  wTinyLfuByWorth,
  clairvoyant,
};

export interface Asked {
  readonly mebibytes: number;
  /** How long an answer is fresh; the models know none that expires. */
  readonly ttlMs: number;
  /** Whether twice the memory is tried as well. */
  readonly twice: boolean;
  /** Whether the store compresses bodies; the models do not. */
  readonly compress: boolean;
}

export async function savingsOf(
  trace: Trace,
  { mebibytes, ttlMs, twice, compress }: Asked,
): Promise<Savings> {
  const maxBytes = mebibytes * 2 ** 20;
  const all = possible(trace.asks);
  const real = (eviction: EvictionKind, room: number) =>
    replay(trace, { eviction, maxBytes: room, ttlMs, compress });
  const worth = await real('worth', maxBytes);
  const lru = await real('lru', maxBytes);
  const doubled = twice ? await real('worth', 2 * maxBytes) : null;
  const bytesOf = await entryBytes();
  const modelled = Object.entries(models).map(
    ([name, model]) => [name, model(trace.asks, maxBytes, bytesOf) / all] as const,
  );
  const shares = {
    worth: worth.saved / all,
    lru: lru.saved / all,
    ...(Object.fromEntries(modelled) as Record<Exclude<Policy, 'worth' | 'lru'>, number>),
  };
  const told = (worth.stats.eviction?.twiceTheMemory?.usd ?? 0) / all;
  const added = doubled && (doubled.saved - worth.saved) / all;
  return { trace, mebibytes, shares, twice: added === null ? null : { told, real: added } };
}
