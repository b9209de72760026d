import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { fingerprintOf } from '../policies/llm-cache/fingerprint.ts';
import type { KeyMaterial } from '../policies/llm-cache/key.ts';
import { nearest } from '../policies/llm-cache/nearest.ts';
import { MemoryStore } from '../policies/llm-cache/stores/memory.ts';
import { RedisStore } from '../policies/llm-cache/stores/redis.ts';
import type { EntryFilter, Store } from '../policies/llm-cache/stores/store.ts';
import { Signature } from '../policies/llm-cache/stores/signature.ts';
import { ByteBudget } from '../policies/shared/bytes/budget.ts';
import { nodeDigest } from '../policies/hosts/node/digest.ts';
import { RedisConnection } from '../policies/shared/redis/connection.ts';
import { SharedBodies } from '../policies/shared/bytes/shared-bodies.ts';
import { makeEntry } from '../test/support/entry.ts';
import { RedisServer } from '../test/support/redis-server.ts';
import { writeTable } from './tools/document.ts';
import { percentile } from './reliability/scenario.ts';

// Measures the admin API on stores of 100,000 entries: `npm run bench:admin`. With `-- --write` the
// table goes into docs/performance.md. Needs a redis-server.

const entries = 100_000;
const rounds = 100;
const digest = nodeDigest('a secret');

function materialOf(at: number): KeyMaterial {
  const members = new Map([
    ['model', `"model ${at % 1000}"`],
    ['messages', `[{"role":"user","content":"question ${at}"}]`],
    ['temperature', `${at % 10}`],
  ]);
  return {
    namespace: 'openai',
    scope: 'anonymous',
    protocol: 'chat',
    path: '/v1/chat/completions',
    query: '',
    forwardedUrl: '/v1/chat/completions',
    vary: [],
    isStream: false,
    counting: { names: [...members.keys()], members, digest: '' },
    bodyDigest: '',
  };
}

async function fill(store: Store): Promise<void> {
  for (let at = 0; at < entries; at++) {
    const entry = makeEntry(Date.now(), {
      requestedModel: `model ${at % 1000}`,
      model: `model ${at % 1000}`,
      consumer: `consumer ${at % 500}`,
      fingerprint: fingerprintOf(materialOf(at), await materialOf(at).counting, digest),
      body: new Uint8Array(500),
    });
    await store.set(`openai:anonymous:${digest.sha256(String(at))}`, entry);
    // A Redis store queues its writes, up to a bound; a listing waits until the queue is empty.
    if (at % 1000 === 0) await store.list({}, { limit: 1, cursor: null });
  }
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

/** Measures the median and p99 of `run`, and the longest block of the event loop. */
async function measure(times: number, run: (round: number) => Promise<unknown>): Promise<string> {
  const took: number[] = [];
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  for (let round = 0; round < times; round++) {
    const startedAt = performance.now();
    await run(round);
    took.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  loop.disable();
  const blocked = Math.max(0, loop.max / 1e6 - 1);
  return `${ms(percentile(took, 0.5))}, ${ms(percentile(took, 0.99))}, ${ms(blocked)}`;
}

async function rowsOf(name: string, store: Store): Promise<string[]> {
  let cursor: string | null = null;
  const next = async (filter: EntryFilter) => {
    ({ cursor } = await store.list(filter, { limit: 100, cursor }));
  };
  const row = (what: string, figures: string) => `| ${name}: ${what} | ${figures} |`;
  const rows = [row('a page of 100', await measure(rounds, () => next({})))];
  cursor = null;
  const model = { model: 'model 77' };
  rows.push(row('a page of one model in 1,000', await measure(rounds, () => next(model))));
  const question = { ...materialOf(77), isStream: true };
  const explain = async () => {
    const fingerprint = fingerprintOf(question, await question.counting, digest);
    return nearest({ key: 'openai:anonymous:', fingerprint }, store, Date.now());
  };
  rows.push(row('the nearest requests, of `explain`', await measure(5, explain)));
  const dry = () => store.purge({ consumer: 'consumer 3' }, true);
  rows.push(row('a purge of one consumer in 500 (dry run)', await measure(3, dry)));
  return rows;
}

async function main(): Promise<void> {
  const memory = new MemoryStore({ maxBytes: 2 ** 30 });
  await fill(memory);
  const rows = ['| what | median, p99, longest block of the loop |', '| --- | --- |'];
  rows.push(...(await rowsOf('memory', memory)));
  await memory.close();

  const server = await RedisServer.start();
  const log = { info() {}, warn: console.warn, error: console.error };
  const subject = 'the store of the measurement';
  const { url } = server;
  const connection = new RedisConnection({ subject, url, options: {}, timeoutMs: 1000, log });
  const redis = new RedisStore({
    connection,
    keyPrefix: 'bench:',
    seal: new Signature('secret'),
    bodies: new SharedBodies(new ByteBudget(Infinity)),
    coalesceAcross: false,
  });
  await fill(redis);
  rows.push(...(await rowsOf('redis', redis)));
  await redis.close();
  await server.close();

  console.log(rows.join('\n'));
  if (process.argv.includes('--write')) writeTable('admin', rows);
}

void main();
