import { expect } from 'chai';
import { MapStore } from '../policies/llm-cache/stores/map.ts';
import { makeEntry } from './support/entry.ts';
import { describeStore } from './support/store-contract.ts';

class Clock {
  at = 1_700_000_000_000;
  readonly now = () => this.at;
}

describeStore('the store without Node', async () => {
  const clock = new Clock();
  const store = new MapStore({ maxBytes: 10_000_000, now: clock.now });
  return { store, now: clock.now, advance: async (ms) => void (clock.at += ms) };
});

describe('the store without Node', () => {
  const clock = new Clock();
  const entry = (size: number, lifeMs = 60_000) =>
    makeEntry(clock.at, { body: new Uint8Array(size), expiresAt: clock.at + lifeMs });
  const present = async (store: MapStore, keys: string) => {
    const found = [];
    for (const key of keys) if ((await store.get(key)) !== undefined) found.push(key);
    return found.join('');
  };

  it('throws out what was not used for the longest time, when there is no room', async () => {
    const probe = new MapStore({ maxBytes: 1_000_000, now: clock.now });
    await probe.set('a', entry(1000));
    const store = new MapStore({ maxBytes: probe.stats().bytes * 3, now: clock.now });
    for (const key of 'abc') await store.set(key, entry(1000));
    await store.get('a');
    await store.set('d', entry(1000));
    expect(await present(store, 'abcd')).to.equal('acd');
    expect(store.stats()).to.include({ entries: 3, evictions: 1 });
  });

  it('refuses an entry larger than itself, and throws nothing out for it', async () => {
    const store = new MapStore({ maxBytes: 5000, now: clock.now });
    await store.set('a', entry(1000));
    expect(await store.set('b', entry(5000))).to.equal(false);
    expect(await present(store, 'ab')).to.equal('a');
    expect(store.stats()).to.include({ entries: 1, evictions: 0, droppedWrites: 1 });
  });

  it('lets go of what has expired without a timer, as others come', async () => {
    const store = new MapStore({ maxBytes: 10_000_000, now: clock.now });
    for (let count = 0; count < 100; count++) await store.set(`old${count}`, entry(1000, 10));
    clock.at += 20;
    for (let count = 0; count < 50; count++) await store.set(`new${count}`, entry(1000));
    expect(store.stats()).to.include({ entries: 50, evictions: 0 });
  });
});
