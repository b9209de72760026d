import { expect } from 'chai';
import * as fc from 'fast-check';
import { MapStore } from '../../../policies/llm-cache/stores/map.ts';
import { makeEntry } from '../../support/entry.ts';
import { describeStore } from '../../support/store-contract.ts';

class Clock {
  at = 1_700_000_000_000;
  readonly now = () => this.at;
}

describeStore('The MapStore', async () => {
  const clock = new Clock();
  const store = new MapStore({ maxBytes: 10_000_000, now: clock.now });
  return { store, now: clock.now, advance: async (ms) => void (clock.at += ms) };
});

describe('The MapStore', () => {
  const clock = new Clock();
  const entry = (size: number, lifeMs = 60_000) =>
    makeEntry(clock.at, { body: new Uint8Array(size), expiresAt: clock.at + lifeMs });
  const present = async (store: MapStore, keys: string) => {
    const found = [];
    for (const key of keys) if ((await store.get(key)) !== undefined) found.push(key);
    return found.join('');
  };

  it('The MapStore with eviction lru throws out the least recently used entry', async () => {
    const probe = new MapStore({ maxBytes: 100_000, now: clock.now });
    for (const key of 'xyz') await probe.set(key, entry(1000));
    const maxBytes = probe.stats().bytes;
    const store = new MapStore({ maxBytes, eviction: 'lru', now: clock.now });
    for (const key of 'abc') await store.set(key, entry(1000));
    await store.get('a');
    await store.set('d', entry(1000));
    expect(await present(store, 'abcd')).to.equal('acd');
    expect(store.stats()).to.include({ entries: 3, evictions: 1 });
  });

  it('The MapStore refuses an entry larger than itself, and throws nothing out for it', async () => {
    const store = new MapStore({ maxBytes: 5000, now: clock.now });
    await store.set('a', entry(1000));
    expect(await store.set('b', entry(5000))).to.equal(false);
    expect(await present(store, 'ab')).to.equal('a');
    expect(store.stats()).to.include({ entries: 1, evictions: 0, droppedWrites: 1 });
  });

  it('The MapStore drops expired entries without a timer, as others come', async () => {
    const store = new MapStore({ maxBytes: 10_000_000, now: clock.now });
    for (let count = 0; count < 100; count++) await store.set(`old${count}`, entry(1000, 10));
    clock.at += 20;
    for (let count = 0; count < 50; count++) await store.set(`new${count}`, entry(1000));
    expect(store.stats()).to.include({ entries: 50, evictions: 0 });
  });

  it('The MapStore counts what it holds, within its bound, after any steps', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.oneof(
      fc.record({
        do: fc.constant('set'),
        key,
        size: fc.nat(3000),
        lifeMs: fc.integer({ min: -10, max: 5000 }),
        agoMs: fc.nat(2000),
      }),
      fc.record({ do: fc.constantFrom('get', 'delete', 'look'), key }),
      fc.record({ do: fc.constantFrom('purge', 'close', 'list') }),
      fc.record({ do: fc.constant('wait'), ms: fc.integer({ min: -500, max: 3000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const store = new MapStore({ maxBytes: 9000, now: clock.now });
        for (const one of steps) {
          if (one.do === 'set' && 'size' in one) {
            const kept = await store.set(
              one.key,
              entry(one.size, one.lifeMs),
              clock.at - one.agoMs,
            );
            expect(kept).to.equal(true);
          } else if ('ms' in one) clock.at += one.ms;
          else if (one.do === 'get' && 'key' in one) await store.get(one.key);
          else if (one.do === 'look' && 'key' in one) await store.look(one.key);
          else if (one.do === 'delete' && 'key' in one) await store.delete(one.key);
          else if (one.do === 'purge') await store.purge({ namespace: 'none' });
          else if (one.do === 'list') await store.list({}, { limit: 2, cursor: null });
          else await store.close();
          const { bytes, entries } = store.stats();
          expect(bytes).to.be.within(entries * 300, 9000);
          if (entries === 0) expect(bytes).to.equal(0);
        }
        await store.purge({});
        expect(store.stats()).to.include({ bytes: 0, entries: 0 });
      }),
    );
  });

  it('A MapStore has a bound when none is given, and refuses one that is none', () => {
    expect(new MapStore().stats().maxBytes).to.equal(64 * 1024 * 1024);
    for (const maxBytes of [0, -1, 1.5, NaN, Infinity, '64MB' as unknown as number]) {
      expect(() => new MapStore({ maxBytes })).to.throw('MapStore: "maxBytes" must be a whole');
    }
  });
});
