import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from './entry.ts';

// Compares the memory that a full store really uses with the bytes that it counts, without
// compression. Run with --expose-gc and --import=tsx. Arguments: the number of entries, and the
// bytes of each body.

const [count = 0, size = 0] = process.argv.slice(2).map(Number);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});

const body = new Uint8Array(size).fill(65);

const key = (index: number) => `openai:u${'x'.repeat(22)}:${String(index).padStart(43, 'k')}`;
const put = (store: MemoryStore, index: number) =>
  store.set(key(index), makeEntry(Date.now(), { body }));

const memoryInUse = async () => {
  for (let times = 0; times < 5; times++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { memory: heapUsed + external, rss };
};

/** Lets the engine compile the code that stores and evicts, so that the measurement excludes it. */
async function warmUp(): Promise<void> {
  const store = new MemoryStore({ maxBytes: 2 ** 21, compress: false });
  for (let index = 0; index < 20_000; index++) await put(store, index);
  await store.close();
}

/** Fills a store beyond its `entries`, since evicted entries must leave no memory behind. */
async function filled(maxBytes: number, entries: number): Promise<MemoryStore> {
  const store = new MemoryStore({ maxBytes, compress: false });
  for (let index = 0; index < entries * 1.2; index++) await put(store, index);
  return store;
}

/** Returns the `maxBytes` with which a store holds `entries`, extrapolated from a smaller store. */
async function maxBytesFor(entries: number): Promise<number> {
  const some = Math.ceil(entries / 4);
  const maxBytes = some * (size + 400);
  const store = await filled(maxBytes, some);
  const { entries: found } = store.stats();
  await store.close();
  return Math.ceil((maxBytes / found) * entries);
}

async function measure(): Promise<void> {
  await warmUp();
  const maxBytes = await maxBytesFor(count);
  const before = await memoryInUse();
  const store = await filled(maxBytes, count);
  const after = await memoryInUse();
  const { bytes, entries } = store.stats();
  const grown = { held: after.memory - before.memory, rss: after.rss - before.rss };
  process.stdout.write(JSON.stringify({ ...grown, counted: bytes, entries, maxBytes }));
  process.exit();
}

void measure();
