import type { EvictionKind } from '../../policies/llm-cache/stores/bounded/eviction.ts';
import { clairvoyant } from './models/clairvoyant.ts';
import { type Model, possible } from './models/model.ts';
import { s3Fifo } from './models/s3-fifo.ts';
import { wTinyLfu, wTinyLfuByWorth } from './models/w-tiny-lfu.ts';
import { entryBytes, replay } from './replay.ts';
import type { Trace } from './trace.ts';

/** The share of the possible savings that each policy achieves, from 0 to 1. */
export interface Savings {
  readonly trace: Trace;
  readonly mebibytes: number;
  readonly shares: Readonly<Record<Policy, number>>;
  /** The share that twice the memory would add, as the store estimates it and as measured. */
  readonly twice: { readonly estimated: number; readonly measured: number } | null;
}

/** The store itself, by its `eviction` setting, and models of other policies. */
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

export interface SavingsOptions {
  readonly mebibytes: number;
  /** The freshness lifetime of an answer; in the models answers do not expire. */
  readonly ttlMs: number;
  /** Whether to measure twice the memory as well. */
  readonly twice: boolean;
  /** Whether the store compresses bodies; the models do not. */
  readonly compress: boolean;
}

/** Replays a trace through the store and the models. */
export async function savingsOf(
  trace: Trace,
  { mebibytes, ttlMs, twice, compress }: SavingsOptions,
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
  const estimated = (worth.stats.eviction?.twiceTheMemory?.usd ?? 0) / all;
  const added = doubled && (doubled.saved - worth.saved) / all;
  const doubledShare = added === null ? null : { estimated, measured: added };
  return { trace, mebibytes, shares, twice: doubledShare };
}
