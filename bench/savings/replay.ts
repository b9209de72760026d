import { randomBytes } from 'node:crypto';
import type { EntryHead } from '../../policies/llm-cache/entry.ts';
import type { BoundedStore } from '../../policies/llm-cache/stores/bounded/bounded-store.ts';
import type { EvictionKind } from '../../policies/llm-cache/stores/bounded/eviction.ts';
import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import type { StoreStats } from '../../policies/llm-cache/stores/store.ts';
import type { Ask, Trace } from './trace.ts';

/** What a store saved on a trace. */
export interface Replayed {
  /** USD. */
  readonly saved: number;
  readonly hits: number;
  readonly stats: StoreStats;
}

const startAt = Date.UTC(2026, 0, 1);
const longest = 16 * 2 ** 20;
/** Random bytes, which do not compress. */
const noise = randomBytes(longest);
const body = new Uint8Array(longest);

/** The part of the head that all entries of a trace share. */
const head: Omit<EntryHead, 'responseId' | 'storedAt' | 'freshUntil' | 'expiresAt'> = {
  namespace: 'openai',
  protocol: 'chat',
  model: 'gpt-4o-2024-08-06',
  requestedModel: 'gpt-4o',
  consumer: null,
  stream: false,
  usage: { inputTokens: 11, outputTokens: 5, totalTokens: 16, details: { cached_tokens: 4 } },
  fingerprint: { path: 'aaaaaaaa', stream: 'no', '=model': 'bbbbbbbb', '=messages': 'cccccccc' },
  headers: { 'content-type': 'application/json' },
};

export interface ReplayOptions {
  readonly eviction: EvictionKind;
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly compress: boolean;
}

/** Replays a trace through the gateway's memory store. */
export async function replay(
  { asks }: Trace,
  { eviction, maxBytes, ttlMs, compress }: ReplayOptions,
): Promise<Replayed> {
  const clock = { at: startAt };
  const cost = { of: 0 };
  const store = new MemoryStore({
    maxBytes,
    eviction,
    costOf: () => cost.of,
    now: () => clock.at,
    compress,
  });
  let [saved, hits] = [0, 0];
  for (const ask of asks) {
    clock.at = startAt + ask.at;
    const found = store.getNow(keyOf(ask));
    if (found !== undefined && found.freshUntil > clock.at) {
      store.used(keyOf(ask), found);
      saved += ask.cost;
      hits++;
      continue;
    }
    cost.of = ask.cost;
    await put(store, ask, clock.at, ttlMs);
    // Real requests are far enough apart for the compression in the thread pool to keep up.
    if (compress) await store.settled();
  }
  const stats = store.stats();
  await store.close();
  return { saved, hits, stats };
}

/** Returns a function for the bytes that the store counts for an answer, without what entries share. */
export async function entryBytes(): Promise<(ask: Ask) => number> {
  const store = new MemoryStore({ maxBytes: 2 ** 16, compress: false });
  const counted: number[] = [];
  for (const key of ['u100000', 'u100001']) {
    await put(store, { at: 0, key, bytes: 0, cost: 0 }, startAt, 1);
    counted.push(store.stats().bytes);
  }
  await store.close();
  const [one = 0, both = 0] = counted;
  return (ask) => ask.bytes + both - one;
}

/** Returns a key with the length of a request's key. */
function keyOf({ key }: Ask): string {
  return `openai:u${'x'.repeat(22)}:${key.padStart(43, '-')}`;
}

async function put(store: BoundedStore, ask: Ask, at: number, ttlMs: number): Promise<void> {
  const times = { storedAt: at, freshUntil: at + ttlMs, expiresAt: at + ttlMs + 60_000 };
  const length = Math.min(longest, Math.round(ask.bytes));
  body.fill(0, 0, length);
  body.set(noise.subarray(0, Math.floor(length / (length > 6000 ? 10 : 2.3))));
  const entry = { ...head, ...times, responseId: `chatcmpl-${ask.key}` };
  await store.set(keyOf(ask), { ...entry, body: body.subarray(0, length) });
}
