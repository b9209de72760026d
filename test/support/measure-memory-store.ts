import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from './entry.ts';

// What a filled store really holds, against what it counts. Run with --expose-gc and
// --import=tsx; arguments: how many entries, and how many bytes each body has.

const [count = 0, size = 0] = process.argv.slice(2).map(Number);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});

const key = (index: number) => `openai:u${'x'.repeat(22)}:${String(index).padStart(43, 'k')}`;
const heldNow = async () => {
  for (let times = 0; times < 5; times++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

async function measure(): Promise<void> {
  const store = new MemoryStore({ maxBytes: 2 ** 40 });
  const put = async (from: number, to: number) => {
    for (let index = from; index < to; index++) {
      await store.set(key(index), makeEntry(Date.now(), { body: new Uint8Array(size).fill(65) }));
    }
  };
  await put(0, 1000); // the code is compiled, the tables have grown
  const before = { held: await heldNow(), counted: store.stats().bytes };
  await put(1000, 1000 + count);
  const held = (await heldNow()) - before.held;
  const counted = store.stats().bytes - before.counted;
  process.stdout.write(JSON.stringify({ held, counted }));
  process.exit();
}

void measure();
