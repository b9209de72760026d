import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from './entry.ts';

// What a store filled to its bound really holds, against what it counts, bodies as they came. Run with --expose-gc and
// --import=tsx; arguments: how many entries, and how many bytes each body has.

const [count = 0, size = 0] = process.argv.slice(2).map(Number);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});

const body = new Uint8Array(size).fill(65);

const key = (index: number) => `openai:u${'x'.repeat(22)}:${String(index).padStart(43, 'k')}`;
const put = (store: MemoryStore, index: number) =>
  store.set(key(index), makeEntry(Date.now(), { body }));

const held = async () => {
  for (let times = 0; times < 5; times++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { memory: heapUsed + external, rss };
};

/** Has the engine compile what stores and throws out, so that its code is no part of what is measured. */
async function warmUp(): Promise<void> {
  const store = new MemoryStore({ maxBytes: 2 ** 21, compress: false });
  for (let index = 0; index < 20_000; index++) await put(store, index);
  await store.close();
}

/** A store of that size, filled with more than the `entries` that it has room for: those thrown out leave nothing behind. */
async function filled(maxBytes: number, entries: number): Promise<MemoryStore> {
  const store = new MemoryStore({ maxBytes, compress: false });
  for (let index = 0; index < entries * 1.2; index++) await put(store, index);
  return store;
}

/** How large a store is to be for so many entries, by how many one has that is smaller. */
async function roomFor(entries: number): Promise<number> {
  const some = Math.ceil(entries / 4);
  const maxBytes = some * (size + 400);
  const store = await filled(maxBytes, some);
  const { entries: found } = store.stats();
  await store.close();
  return Math.ceil((maxBytes / found) * entries);
}

async function measure(): Promise<void> {
  await warmUp();
  const maxBytes = await roomFor(count);
  const before = await held();
  const store = await filled(maxBytes, count);
  const after = await held();
  const { bytes, entries } = store.stats();
  const grown = { held: after.memory - before.memory, rss: after.rss - before.rss };
  process.stdout.write(JSON.stringify({ ...grown, counted: bytes, entries, maxBytes }));
  process.exit();
}

void measure();
