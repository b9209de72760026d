import { expect } from 'chai';
import * as fc from 'fast-check';
import { MapStore } from '../../../../policies/llm-cache/stores/map.ts';
import { MemoryStore } from '../../../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from '../../../support/entry.ts';

const costOf = ({ responseId }: { responseId: string | null }) => {
  const cost = /^usd ([\d.e-]+)$/.exec(responseId ?? '')?.[1];
  return cost === undefined ? null : Number(cost);
};

for (const [name, Kind] of [
  ['memory store', MemoryStore],
  ['MapStore', MapStore],
] as const) {
  describe(`The ${name} with eviction by worth`, () => {
    let now = 1_700_000_000_000;
    const open = (maxBytes: number, eviction: 'worth' | 'lru' = 'worth') => {
      const options = { maxBytes, eviction, costOf, now: () => now, compress: false };
      return new Kind(options);
    };
    type Opened = ReturnType<typeof open>;
    const put = (store: Opened, key: string, usd: number, size = 1000, lifeMs = 3_600_000) =>
      store.set(
        key,
        makeEntry(now, {
          body: new Uint8Array(size),
          responseId: `usd ${usd}`,
          freshUntil: now + lifeMs,
          expiresAt: now + lifeMs,
        }),
      );
    const present = async (store: Opened, keys: readonly string[]) => {
      const found = [];
      for (const key of keys) if ((await store.look(key)) !== undefined) found.push(key);
      return found;
    };

    it(`The ${name} keeps the costliest of entries of one size`, async () => {
      const store = open(20_000);
      for (let at = 0; at < 40; at++) await put(store, `k:${at}`, at % 4 === 0 ? 1 : 0.001);
      const dear = Array.from({ length: 10 }, (_, at) => `k:${at * 4}`);
      expect(await present(store, dear)).to.deep.equal(dear);
      await store.close();
    });

    it(`The ${name} takes the time since a restored entry was asked for as no time of a provider`, async () => {
      const store = open(10_000);
      const entry = (storedAt: number) =>
        makeEntry(storedAt, {
          body: new Uint8Array(1000),
          usage: null,
          responseId: null,
          freshUntil: now + 3_600_000,
          expiresAt: now + 3_600_000,
        });
      const tookMs = (ms: number) => performance.now() - ms;
      await store.set('k:restored', entry(now - 3_600_000), tookMs(3_600_000));
      for (let at = 0; at < 10; at++) await store.set(`k:${at}`, entry(now), tookMs(5000));
      expect(await store.look('k:restored')).to.equal(undefined);
      expect(store.stats().evictions).to.be.above(0);
      await store.close();
    });

    it(`The ${name} keeps many small entries rather than a large one that saves as much as one of them`, async () => {
      const store = open(30_000);
      const small = Array.from({ length: 10 }, (_, at) => `small:${at}`);
      for (const key of small) await put(store, key, 0.01, 500);
      await put(store, 'large:1', 0.01, 22_000);
      expect(await present(store, [...small, 'large:1'])).to.deep.equal(small);
      expect(store.stats()).to.include({ evictions: 1, droppedWrites: 0 });
      await store.close();
    });

    it(`The ${name} keeps a large entry rather than many small ones where it saves more per byte`, async () => {
      const store = open(30_000);
      for (let at = 0; at < 15; at++) await put(store, `small:${at}`, 0.0001, 500);
      await put(store, 'large:1', 1, 22_000);
      expect(await present(store, ['large:1'])).to.deep.equal(['large:1']);
      expect(store.stats().bytes).to.be.at.most(30_000);
      await store.close();
    });

    it(`The ${name} evicts no entry in use while many questions are asked once`, async () => {
      const store = open(2 ** 20);
      const asked = Array.from({ length: 100 }, (_, at) => `asked:${at}`);
      for (const key of asked) await put(store, key, 0.01);
      for (let round = 0; round < 5; round++) for (const key of asked) await store.get(key);
      for (let at = 0; at < 20_000; at++) {
        if ((await store.get(`once:${at}`)) === undefined) await put(store, `once:${at}`, 0.01);
        if (at % 50 === 0) await store.get(asked[(at / 50) % 100] ?? '');
      }
      expect(await present(store, asked)).to.deep.equal(asked);
      await store.close();
    });

    it(`The ${name} lets old favourites go that are no longer asked for`, async () => {
      const store = open(36_000);
      const ask = async (key: string) => {
        if ((await store.get(key)) === undefined) await put(store, key, 0.01);
      };
      const favourites = (day: string) => Array.from({ length: 15 }, (_, at) => `${day}:${at}`);
      for (let round = 0; round < 20; round++) for (const key of favourites('old')) await ask(key);
      for (let round = 0; round < 60; round++) for (const key of favourites('new')) await ask(key);
      expect(await present(store, favourites('new'))).to.deep.equal(favourites('new'));
      expect((await present(store, favourites('old'))).length).to.be.below(15);
      await store.close();
    });

    it(`The ${name} remembers how often an evicted entry was asked for`, async () => {
      const store = open(8000);
      await put(store, 'back:1', 0.01);
      for (let times = 0; times < 6; times++) await store.get('back:1');
      for (let at = 0; (await present(store, ['back:1'])).length > 0; at++) {
        await put(store, `dear:${at}`, 0.2);
        expect(at).to.be.below(2000);
      }
      await put(store, 'back:1', 0.01);
      for (let at = 0; at < 3; at++) await put(store, `once:${at}`, 0.01);
      expect(await present(store, ['back:1'])).to.deep.equal(['back:1']);
      await store.close();
    });

    it(`The ${name} throws out expired entries before any other, not counted as evictions`, async () => {
      const store = open(20_000);
      for (let at = 0; at < 8; at++) await put(store, `dear:${at}`, 5, 1000, 1000);
      now += 2000;
      for (let at = 0; at < 8; at++) await put(store, `cheap:${at}`, 0.001);
      expect(
        (
          await present(
            store,
            Array.from({ length: 8 }, (_, at) => `cheap:${at}`),
          )
        ).length,
      ).to.equal(8);
      expect(store.stats().evictions).to.equal(0);
      await store.close();
    });

    it(`The ${name} counts hits missed by its evictions, and what they would have saved`, async () => {
      const store = open(10_000, 'lru');
      for (let at = 0; at < 20; at++) await put(store, `k:${at}`, 0.5);
      await store.get('k:0');
      await store.get('never:stored');
      expect(store.stats().eviction?.missedHits).to.equal(1);
      expect(store.stats().eviction?.missedUsd).to.be.closeTo(0.5, 0.001);
      now += 3_600_000;
      await store.get('k:1');
      expect(store.stats().eviction?.missedHits).to.equal(1);
      await store.close();
    });

    it(`The ${name} estimates what twice the memory would have saved`, async () => {
      const store = open(2 ** 20, 'lru');
      // A round of all of them fits into twice the memory, and into once it does not.
      for (let round = 0; round < 4; round++) {
        for (let at = 0; at < 1000; at++) {
          if ((await store.get(`k:${at}`)) === undefined) await put(store, `k:${at}`, 0.01);
        }
      }
      const { hits = 0, usd = 0 } = store.stats().eviction?.twiceTheMemory ?? {};
      expect(hits).to.be.within(2000, 3000);
      expect(usd).to.be.closeTo(hits * 0.01, hits * 0.0001);
      expect(store.stats().evictions).to.be.above(1000);
      await store.close();
    });

    it(`The ${name} ranks by last use as well where questions come in bursts`, async () => {
      const store = open(2 ** 20);
      const random = (
        (state) => () =>
          (state = (state * 48271) % 2147483647) / 2147483647
      )(7);
      for (let at = 0; at < 20_000; at++) {
        // Each is asked four times within four hundred requests, and never again; what it costs says nothing.
        const key = `burst:${Math.floor(at / 4) - Math.floor(random() * 100)}`;
        const usd = 10 ** (3 * (((Number(key.slice(6)) * 7919) % 97) / 97) - 4);
        if ((await store.get(key)) === undefined) await put(store, key, usd, 4000);
      }
      expect(store.stats().eviction?.ranking).to.equal('blend');
      await store.close();
    });

    it(`The ${name} counts the bytes that removed entries leave behind, until they are freed`, async () => {
      const store = open(10_000_000);
      for (let at = 0; at < 100; at++) await put(store, `k:${at}`, 0.01, 10);
      const { bytes: ofHundred } = store.stats();
      for (let at = 0; at < 6000; at++) await put(store, `k:${at}`, 0.01, 10);
      for (let at = 100; at < 6000; at++) await store.delete(`k:${at}`);
      expect(store.stats().entries).to.equal(100);
      expect(store.stats().bytes - ofHundred).to.be.within(400_000, 500_000);
      await store.purge({});
      expect(store.stats()).to.include({ entries: 0, bytes: 0 });
      for (let at = 0; at < 100; at++) await put(store, `k:${at}`, 0.01, 10);
      expect(store.stats().bytes).to.equal(ofHundred);
      expect((await store.list({}, { limit: 200, cursor: null })).entries.length).to.equal(100);
      await store.close();
    });

    it(`The ${name} holds no more than its bound, and exactly what it says, after any steps`, async () => {
      const key = fc.integer({ min: 0, max: 12 }).map((at) => `k:${at}`);
      const step = fc.oneof(
        fc.record({
          kind: fc.constant('set' as const),
          key,
          size: fc.nat(4000),
          usd: fc.constantFrom(0, 1e-6, 0.01, 3),
          life: fc.integer({ min: 1, max: 5000 }),
        }),
        fc.record({ kind: fc.constantFrom('get' as const, 'delete' as const), key }),
        fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(3000) }),
        fc.record({ kind: fc.constantFrom('purge' as const, 'close' as const) }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
          const store = open(12_000);
          const put0 = async () => {
            await put(store, 'probe:1', 0, 0);
            const first = store.stats().bytes;
            await put(store, 'probe:2', 0, 0);
            const { bytes } = store.stats();
            await store.close();
            return bytes - first - 'probe:1'.length - 'usd 0'.length;
          };
          const empty = await put0();
          for (const one of steps) {
            if (one.kind === 'set') await put(store, one.key, one.usd, one.size, one.life);
            else if (one.kind === 'get') await store.get(one.key);
            else if (one.kind === 'delete') await store.delete(one.key);
            else if (one.kind === 'wait') now += one.ms;
            else if (one.kind === 'purge') await store.purge({ namespace: 'other' });
            else await store.close();
            const { bytes, entries } = store.stats();
            expect(bytes).to.be.within(entries * empty, 12_000);
            if (entries === 0) expect(bytes).to.equal(0);
          }
          const { entries: all } = await store.list({}, { limit: 100, cursor: null });
          const sizes = all.map(
            (one) => one.bytes + one.key.length + (one.head.responseId ?? '').length,
          );
          await store.purge({});
          expect(store.stats()).to.include({ entries: 0, bytes: 0 });
          expect(sizes.every((size) => size + empty <= 12_000)).to.equal(true);
        }),
        { numRuns: 60 },
      );
    });
  });
}
