import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { MemoryStore } from '../../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from '../../support/entry.ts';
import { describeStore } from '../../support/store-contract.ts';

class Clock {
  at = 1_700_000_000_000;
  readonly now = () => this.at;
}

describeStore('The memory store', async () => {
  const clock = new Clock();
  const store = new MemoryStore({ maxBytes: 10_000_000, now: clock.now });
  return { store, now: clock.now, advance: async (ms) => void (clock.at += ms) };
});

describe('The memory store', () => {
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

  it('The memory store with eviction lru throws out the least recently used entry', async () => {
    const probe = new MemoryStore({ maxBytes: 100_000, now: clock.now });
    await filled(probe, ['x', 'y', 'z']);
    const maxBytes = probe.stats().bytes;
    const store = new MemoryStore({ maxBytes, eviction: 'lru', now: clock.now });
    await filled(store, ['a', 'b', 'c']);
    await store.get('a');
    await filled(store, ['d']);
    expect(await present(store, ['a', 'b', 'c', 'd'])).to.equal('acd');
    expect(store.stats()).to.include({ entries: 3, evictions: 1 });
    await Promise.all([store.close(), probe.close()]);
  });

  it('The memory store refuses an entry larger than itself, and throws nothing out for it', async () => {
    const store = new MemoryStore({ maxBytes: 5000, now: clock.now });
    await filled(store, ['a']);
    expect(await store.set('b', entry(5000))).to.equal(false);
    expect(await present(store, ['a', 'b'])).to.equal('a');
    expect(store.stats()).to.include({ entries: 1, evictions: 0, droppedWrites: 1 });
    await store.close();
  });

  it('The memory store makes room for one large entry by throwing out many small ones', async () => {
    const store = new MemoryStore({ maxBytes: 2_000_000, eviction: 'lru', now: clock.now });
    for (let count = 0; count < 1000; count++) await store.set(`k${count}`, entry(1000));
    expect(await store.set('large', entry(1_800_000))).to.equal(true);
    expect(store.stats().bytes).to.be.at.most(2_000_000);
    expect(await present(store, ['large'])).to.equal('large');
    await store.close();
  });

  it('The memory store does no work per byte of an answer', async () => {
    // node-cache counts a value with Object.keys: of bare bytes it would make a string for each.
    const { keys } = Object;
    let most = 0;
    Object.keys = (value: object) => {
      const names = keys(value);
      most = Math.max(most, names.length);
      return names;
    };
    try {
      const store = new MemoryStore({ maxBytes: 3_000_000, now: clock.now });
      await filled(store, ['a', 'a', 'b', 'c'], 1_400_000);
      await store.get('c');
      await store.delete('c');
      await store.close();
    } finally {
      Object.keys = keys;
    }
    expect(most).to.be.within(1, 50);
  });

  const sweptUntil = async (store: MemoryStore, entries: number) => {
    let steps = 0;
    for (let before = store.stats().entries; before > entries; steps++) {
      store.sweep();
      const { entries: left } = store.stats();
      expect(before - left, 'dropped in one step').to.be.at.most(500);
      expect(steps, 'steps').to.be.at.most(100);
      before = left;
    }
    return steps;
  };

  it('The memory store looks at no more than 500 entries in one step of its sweep', async () => {
    const store = new MemoryStore({ maxBytes: 100_000_000, now: clock.now });
    for (let count = 0; count < 5000; count++) await store.set(`k${count}`, entry(10, 1000));
    clock.at += 1000;
    expect(await sweptUntil(store, 0)).to.equal(10);
    expect(store.stats()).to.include({ bytes: 0, evictions: 0 });
    await store.close();
  });

  it('The memory store sweeps past live entries, and begins again at the end', async () => {
    const store = new MemoryStore({ maxBytes: 100_000_000, now: clock.now });
    for (let count = 0; count < 3000; count++) {
      await store.set(`k${count}`, entry(10, count % 2 === 0 ? 1000 : 10_000));
    }
    clock.at += 2000;
    expect(await sweptUntil(store, 1500)).to.be.at.most(6);
    clock.at += 10_000;
    await sweptUntil(store, 0);
    await store.close();
  });

  it('The memory store sweeps on while entries are read, replaced and deleted', async () => {
    const store = new MemoryStore({ maxBytes: 10_000_000, now: clock.now });
    for (let count = 0; count < 3000; count++) {
      await store.set(`k${count}`, entry(10, count < 1000 ? 60_000 : 1000));
    }
    clock.at += 2000;
    for (let step = 0; step < 6; step++) {
      store.sweep();
      for (let count = 0; count < 1000; count++) {
        if (count % 3 === 0) await store.get(`k${count}`);
        if (count % 3 === 1) await store.set(`k${count}`, entry(20));
        if (count % 3 === 2) await store.delete(`k${count}`);
      }
    }
    expect(store.stats().entries).to.equal(667);
    await store.close();
  });

  it('The memory store has a timer only while it has entries, and an unreferenced one', async () => {
    const { setInterval, clearInterval } = globalThis;
    const running = new Map<object, { sweep: () => void; unref: boolean }>();
    const fakes = {
      setInterval: (sweep: () => void) => {
        const timer = { unref: () => (running.set(timer, { sweep, unref: true }), timer) };
        running.set(timer, { sweep, unref: false });
        return timer;
      },
      clearInterval: (timer: object) => void running.delete(timer),
    };
    Object.assign(globalThis, fakes);
    try {
      const store = new MemoryStore({ maxBytes: 100_000, now: clock.now });
      const timers = () => [...running.values()].map(({ unref }) => unref);
      expect(timers()).to.deep.equal([]);
      await filled(store, ['a', 'b']);
      expect(timers()).to.deep.equal([true]);
      clock.at += 100_000;
      for (const { sweep } of running.values()) sweep();
      expect(store.stats().entries).to.equal(0);
      expect(timers()).to.deep.equal([]);
      await filled(store, ['a']);
      await store.delete('a');
      expect(timers()).to.deep.equal([]);
      await filled(store, ['a']);
      await store.close();
      expect(timers()).to.deep.equal([]);
      expect(await store.get('a')).to.equal(undefined);
      expect(store.stats()).to.include({ entries: 0, bytes: 0 });
    } finally {
      Object.assign(globalThis, { setInterval, clearInterval });
    }
  });

  it('The memory store counts the live entries of a purge, though they are read meanwhile', async () => {
    const store = new MemoryStore({ maxBytes: 100_000_000, now: clock.now });
    for (let count = 0; count < 2000; count++) {
      await store.set(`k${count}`, entry(10, count % 2 === 0 ? 1000 : 10_000));
    }
    clock.at += 2000;
    const purge = store.purge({});
    // Asked for while the purge is under way: it meets none of them twice, and misses none.
    for (let count = 1; count < 2000; count += 2) await store.get(`k${count}`);
    expect(await purge).to.equal(1000);
    expect(store.stats()).to.include({ entries: 0, bytes: 0 });
  });

  it('The memory store deletes entries of any name', async () => {
    const store = new MemoryStore({ maxBytes: 100_000, now: clock.now });
    for (const key of ['__proto__', 'constructor', '']) {
      await store.set(key, entry(10));
      expect(await store.delete(key)).to.equal(true);
      expect(await store.get(key)).to.equal(undefined);
    }
    expect(store.stats()).to.include({ entries: 0, bytes: 0 });
  });

  it('The memory store with eviction lru agrees with a simple model, byte for byte', async () => {
    const maxBytes = 9000;
    const probe = new MemoryStore({ maxBytes, now: clock.now });
    await probe.set('a', entry(0));
    const { bytes: firstBytes } = probe.stats();
    await probe.set('b', entry(0));
    const emptyBytes = probe.stats().bytes - firstBytes;
    // What entries have in common counts once.
    const sharedBytes = firstBytes - emptyBytes;
    await probe.close();

    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    // On a grid, so that some are asked for in the very millisecond in which they expire.
    const time = (steps: number) => fc.integer({ min: 1, max: steps }).map((many) => many * 500);
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('set' as const),
          key,
          size: fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 7000, max: 9000 })),
          life: time(10),
        }),
      },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
      fc.record({ kind: fc.constant('delete' as const), key }),
      fc.record({ kind: fc.constant('wait' as const), ms: time(4) }),
      fc.record({ kind: fc.constant('sweep' as const) }),
      fc.record({ kind: fc.constant('close' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const store = new MemoryStore({ maxBytes, eviction: 'lru', now: clock.now });
        // Least recently used first.
        const model = new Map<string, { size: number; expiresAt: number }>();
        const modelBytes = () =>
          [...model.values()].reduce(
            (sum, { size }) => sum + emptyBytes + size,
            model.size === 0 ? 0 : sharedBytes,
          );
        let evictions = 0;
        let droppedWrites = 0;
        const take = {
          set: async ({ key: name, size, life }: { key: string; size: number; life: number }) => {
            const fits = emptyBytes + sharedBytes + size <= maxBytes;
            expect(await store.set(name, entry(size, life))).to.equal(fits);
            if (!fits) return void droppedWrites++;
            model.delete(name);
            model.set(name, { size, expiresAt: clock.at + life });
            const isOver = () => modelBytes() > maxBytes;
            const byExpiry = [...model].toSorted(([, a], [, b]) => a.expiresAt - b.expiresAt);
            for (const [first, { expiresAt }] of byExpiry) {
              if (isOver() && expiresAt <= clock.at) model.delete(first);
            }
            for (const oldest of model.keys()) {
              if (!isOver()) break;
              model.delete(oldest);
              evictions++;
            }
          },
          get: async (name: string) => {
            const known = model.get(name);
            model.delete(name);
            const isAlive = known !== undefined && known.expiresAt > clock.at;
            if (isAlive) model.set(name, known);
            expect((await store.get(name))?.body.length).to.equal(isAlive ? known.size : undefined);
          },
          delete: async (name: string) => {
            const isAlive = (model.get(name)?.expiresAt ?? 0) > clock.at;
            model.delete(name);
            expect(await store.delete(name)).to.equal(isAlive);
          },
          sweep: () => {
            store.sweep();
            for (const [name, { expiresAt }] of model) {
              if (expiresAt <= clock.at) model.delete(name);
            }
          },
          close: async () => {
            await store.close();
            model.clear();
          },
        };
        for (const one of steps) {
          if (one.kind === 'set') await take.set(one);
          else if (one.kind === 'get' || one.kind === 'delete') await take[one.kind](one.key);
          else if (one.kind === 'wait') clock.at += one.ms;
          else await take[one.kind]();
          const { eviction, ...counted } = store.stats();
          expect(eviction?.ranking).to.equal('lru');
          expect(counted).to.deep.equal({
            type: 'memory',
            entries: model.size,
            bytes: modelBytes(),
            maxBytes,
            evictions,
            errors: 0,
            droppedWrites,
            healthy: true,
          });
          expect(modelBytes()).to.be.at.most(maxBytes);
        }
        for (const name of 'abcdef') await take.get(name);
        await store.close();
      }),
      { numRuns: 300 },
    );
  });

  it('The memory store holds as much memory as it says, within 5 %', async function () {
    if ('Deno' in globalThis) this.skip(); // Measured on V8 as Node runs it.
    this.timeout(60_000);
    const run = promisify(execFile);
    const args = ['--expose-gc', '--import=tsx', 'test/support/measure-memory-store.ts'];
    for (const [count, size] of [
      [100_000, 2048],
      [10_000, 2048],
      [100_000, 300],
      [10_000, 300],
      [2000, 65_536],
    ] as const) {
      const ratios: number[] = [];
      // V8 keeps now and then some code of its own: a store that held more than it says would always.
      while (ratios.length < 3 && !ratios.some((ratio) => ratio <= 1.05)) {
        const { stdout } = await run('node', [...args, String(count), String(size)]);
        const measured = JSON.parse(stdout) as Record<'held' | 'counted' | 'maxBytes', number>;
        const { held, counted, maxBytes } = measured;
        ratios.push(held / counted);
        expect(counted / maxBytes, 'filled').to.be.within(0.99, 1);
      }
      expect(Math.min(...ratios), `${count} entries of ${size} bytes`).to.be.within(0.95, 1.05);
    }
  });
});
