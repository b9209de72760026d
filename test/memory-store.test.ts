import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { MemoryStore } from '../policies/llm-cache/stores/memory.ts';
import { makeEntry } from './support/entry.ts';
import { describeStore } from './support/store-contract.ts';

class Clock {
  at = 1_700_000_000_000;
  readonly now = () => this.at;
}

describeStore('the memory store', async () => {
  const clock = new Clock();
  const store = new MemoryStore({ maxBytes: 10_000_000, now: clock.now });
  return { store, now: clock.now, advance: async (ms) => void (clock.at += ms) };
});

describe('the memory store', () => {
  const clock = new Clock();
  const entry = (size: number, lifeMs = 60_000) =>
    makeEntry(clock.at, { body: new Uint8Array(size), expiresAt: clock.at + lifeMs });
  const filled = async (store: MemoryStore, keys: readonly string[], size = 1000) => {
    for (const key of keys) await store.set(key, entry(size));
  };
  const present = async (store: MemoryStore, keys: readonly string[]) => {
    const found = [];
    for (const key of keys) if ((await store.get(key)) !== undefined) found.push(key);
    return found.join('');
  };

  it('throws out what was not used for the longest time, when there is no room', async () => {
    const probe = new MemoryStore({ maxBytes: 1_000_000, now: clock.now });
    await filled(probe, ['a']);
    const store = new MemoryStore({ maxBytes: probe.stats().bytes * 3, now: clock.now });
    await filled(store, ['a', 'b', 'c']);
    await store.get('a');
    await filled(store, ['d']);
    expect(await present(store, ['a', 'b', 'c', 'd'])).to.equal('acd');
    expect(store.stats()).to.include({ entries: 3, evictions: 1 });
    await Promise.all([store.close(), probe.close()]);
  });

  it('refuses an entry larger than itself, and throws nothing out for it', async () => {
    const store = new MemoryStore({ maxBytes: 5000, now: clock.now });
    await filled(store, ['a']);
    expect(await store.set('b', entry(5000))).to.equal(false);
    expect(await present(store, ['a', 'b'])).to.equal('a');
    expect(store.stats()).to.include({ entries: 1, evictions: 0, droppedWrites: 1 });
    await store.close();
  });

  it('makes room for one large entry by throwing out many small ones', async () => {
    const store = new MemoryStore({ maxBytes: 2_000_000, now: clock.now });
    for (let count = 0; count < 1000; count++) await store.set(`k${count}`, entry(1000));
    expect(await store.set('large', entry(1_900_000))).to.equal(true);
    expect(store.stats().bytes).to.be.at.most(2_000_000);
    expect(await present(store, ['large'])).to.equal('large');
    await store.close();
  });

  it('looks at no more than two thousand entries in one step of its sweep', async () => {
    const store = new MemoryStore({ maxBytes: 100_000_000, now: clock.now });
    for (let count = 0; count < 5000; count++) await store.set(`k${count}`, entry(10, 1000));
    clock.at += 2000;
    const left: number[] = [];
    for (let step = 0; step < 3; step++) {
      store.sweep();
      left.push(store.stats().entries);
    }
    expect(left).to.deep.equal([3000, 1000, 0]);
    expect(store.stats()).to.include({ bytes: 0, evictions: 0 });
    await store.close();
  });

  it('sweeps past entries that live, and begins again at the end', async () => {
    const store = new MemoryStore({ maxBytes: 100_000_000, now: clock.now });
    for (let count = 0; count < 3000; count++) {
      await store.set(`k${count}`, entry(10, count % 2 === 0 ? 1000 : 10_000));
    }
    clock.at += 2000;
    store.sweep();
    store.sweep();
    expect(store.stats().entries).to.equal(1500);
    clock.at += 10_000;
    for (let step = 0; step < 3; step++) store.sweep();
    expect(store.stats().entries).to.equal(0);
    await store.close();
  });

  it('keeps the books of its bytes whatever is done to it', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('set'),
        key,
        size: fc.integer({ min: 0, max: 4000 }),
        life: fc.integer({ min: 1, max: 5000 }),
      }),
      fc.record({ kind: fc.constant('get'), key }),
      fc.record({ kind: fc.constant('delete'), key }),
      fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1, max: 3000 }) }),
      fc.record({ kind: fc.constant('sweep') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const store = new MemoryStore({ maxBytes: 9000, now: clock.now });
        // The model: least recently used first.
        const model = new Map<string, { size: number; expiresAt: number }>();
        for (const one of steps) {
          if (one.kind === 'wait' && 'ms' in one) clock.at += one.ms;
          if (one.kind === 'sweep') store.sweep();
          if (one.kind === 'delete' && 'key' in one) {
            await store.delete(one.key);
            model.delete(one.key);
          }
          if (
            one.kind === 'set' &&
            'life' in one &&
            (await store.set(one.key, entry(one.size, one.life)))
          ) {
            model.delete(one.key);
            model.set(one.key, { size: one.size, expiresAt: clock.at + one.life });
          }
          if (one.kind === 'get' && 'key' in one) {
            const known = model.get(one.key);
            const got = await store.get(one.key);
            if (got !== undefined) {
              expect(known?.size).to.equal(got.body.length);
              expect(known?.expiresAt).to.be.greaterThan(clock.at);
              model.delete(one.key);
              if (known) model.set(one.key, known);
            } else {
              model.delete(one.key);
            }
          }
          expect(store.stats().bytes).to.be.within(0, 9000);
          expect(store.stats().entries).to.be.at.most(model.size);
        }
        // What the store still has is the most recently used part of the model.
        const newest = [...model.keys()].toReversed().slice(0, store.stats().entries);
        for (const name of newest) {
          const known = model.get(name);
          const isThere = (await store.get(name)) !== undefined;
          expect(isThere).to.equal((known?.expiresAt ?? 0) > clock.at);
        }
        for (const name of model.keys()) await store.delete(name);
        expect(store.stats()).to.include({ entries: 0, bytes: 0 });
        await store.close();
      }),
      { numRuns: 200 },
    );
  });

  it('holds as much memory as it says, within 5 %', async function () {
    if ('Deno' in globalThis) this.skip(); // Measured on V8 as Node runs it.
    this.timeout(60_000);
    const args = ['--expose-gc', '--import=tsx', 'test/support/measure-memory-store.ts'];
    for (const [count, size] of [
      [100_000, 2048],
      [10_000, 2048],
      [100_000, 300],
    ] as const) {
      const { stdout } = await promisify(execFile)('node', [...args, String(count), String(size)]);
      const { held, counted } = JSON.parse(stdout) as { held: number; counted: number };
      expect(held / counted, `${count} entries of ${size} bytes`).to.be.within(0.95, 1.05);
    }
  });
});
