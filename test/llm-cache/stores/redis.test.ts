import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import { MemoryStore } from '../../../policies/llm-cache/stores/memory.ts';
import { NoRoom, type Store } from '../../../policies/llm-cache/stores/store.ts';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { makeEntry } from '../../support/entry.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { keyPrefix, RedisStores } from '../../support/redis-stores.ts';
import { describeStore, type StoreUnderTest } from '../../support/store-contract.ts';

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const newKey = () => randomBytes(32).toString('base64');

describe('A real Redis', () => {
  let server: RedisServer;
  let stores: RedisStores;

  before(async function () {
    if (!hasRedis()) return this.skip();
    server = await RedisServer.start();
  });
  after(() => server?.close());
  beforeEach(async () => {
    stores = new RedisStores(server.url);
    await stores.client().flushall();
  });
  afterEach(() => stores?.close());

  /** On a clock that the test moves, and Redis with it. */
  function underTest(open: (now: () => number) => Store): StoreUnderTest {
    let aheadMs = 0;
    const now = () => Date.now() + aheadMs;
    const store = open(now);
    const advance = async (ms: number) => {
      // What was asked for before a purge is told by a clock that only runs.
      if (ms < 100) return sleep(ms);
      // All that was put in has arrived.
      await store.list({}, { limit: 1, cursor: null });
      aheadMs += ms;
      const client = stores.client();
      for (const name of await client.keys(`${keyPrefix}entry:*`)) {
        const leftMs = await client.pttl(name);
        if (leftMs >= 0) await client.pexpire(name, leftMs - ms);
      }
    };
    return { store, now, advance };
  }
  const entry = (parts = {}) => makeEntry(Date.now(), parts);
  const isWritten = (keys = 1) =>
    eventually(async () => (await stores.client().dbsize()) === keys, 'it is written');

  describeStore('The redis store', async () => underTest((now) => stores.redis({ now })));
  describeStore('The encrypted redis store', async () =>
    underTest((now) => stores.redis({ now, seal: new Encryption([newKey()]) })),
  );
  describeStore('The tiered store', async () => {
    let isReady = () => false;
    const test = underTest((now) => {
      const near = new MemoryStore({ maxBytes: 1_000_000, now });
      const { store } = stores.tiered({ now, near });
      isReady = () => store.isNearInUse;
      return store;
    });
    await eventually(isReady, 'it hears of purges');
    return test;
  });

  describe('The redis store', () => {
    const written = async (store: Store) => {
      await store.list({}, { limit: 1, cursor: null });
    };

    it('The redis store writes a short body as it is, under prefix, namespace and scope, with its TTL', async () => {
      const body = randomBytes(500);
      await stores.redis().set('openai:anonymous:digest', entry({ body }));
      await isWritten();
      const client = stores.client();
      expect(await client.keys('*')).to.deep.equal([`${keyPrefix}entry:openai:anonymous:digest`]);
      const name = `${keyPrefix}entry:openai:anonymous:digest`;
      expect((await client.getBuffer(name))?.includes(body)).to.equal(true);
      expect(await client.pttl(name)).to.be.within(3_600_000, 3_660_000);
    });

    it('The redis store reads a long stream once for all callers who take gzip, and charges its compressed size', async () => {
      const body = new TextEncoder().encode('data: {"same":"again"}\n\n'.repeat(4000));
      const budget = new ByteBudget(20_000);
      const [writing, store] = [stores.redis(), stores.redis({ budget })];
      await writing.set('a', entry({ body }));
      await isWritten();
      const [one, other] = await Promise.all([store.get('a', true), store.get('a', true)]);
      expect(one?.coding).to.equal('gzip');
      expect(other).to.equal(one);
      expect(gunzipSync(one?.body ?? body).equals(body)).to.equal(true);
      expect(await store.get('a', true)).to.equal(one);
      const refused = await store.get('a').catch((error: unknown) => error);
      expect(refused).to.be.instanceOf(NoRoom);
      await store.delete('a');
      expect(await store.get('a', true)).to.equal(undefined);
    });

    it('The redis store counts its entries in the background, and estimates their bytes', async () => {
      const store = stores.redis();
      for (let at = 0; at < 300; at++)
        await store.set(`ns:${at}`, entry({ body: randomBytes(500) }));
      await isWritten(300);
      expect(store.stats()).to.include({ entries: null, bytes: null });
      await eventually(() => store.stats().entries === 300, 'they are counted');
      expect(store.stats().bytes).to.be.within(300 * 800, 300 * 1200);
    });

    it('The redis store takes an entry of a newer version for a miss', async () => {
      await stores.redis().set('a', entry());
      await isWritten();
      await stores.client().setrange('test:entry:a', 4, '\u0004');
      expect(await stores.redis().get('a')).to.equal(undefined);
    });

    it('The redis store decrypts with any of its keys, and takes what is not authentic for a miss', async () => {
      const [old, fresh] = [newKey(), newKey()];
      const with_ = (...keys: string[]) => stores.redis({ seal: new Encryption(keys) });
      const before = with_(old);
      await before.set('a', entry({ body: new TextEncoder().encode('secret answer') }));
      await isWritten();
      const client = stores.client();
      expect((await client.getBuffer('test:entry:a'))?.includes('secret answer')).to.equal(false);

      expect(await with_(fresh, old).get('a')).to.not.equal(undefined);
      expect(await with_(fresh).get('a')).to.equal(undefined);
      expect(await stores.redis().get('a')).to.equal(undefined);
      await client.rename('test:entry:a', 'test:entry:b');
      expect(await before.get('b')).to.equal(undefined);
      await client.rename('test:entry:b', 'test:entry:a');
      expect(await before.get('a')).to.not.equal(undefined);
      await client.setrange('test:entry:a', 60, 'x');
      expect(await before.get('a')).to.equal(undefined);
    });

    it('The redis store takes entries stored before it had keys for misses', async () => {
      await stores.redis().set('a', entry());
      await isWritten();
      const store = stores.redis({ seal: new Encryption([newKey()]) });
      expect(await store.get('a')).to.equal(undefined);
    });

    for (const encrypted of [false, true]) {
      it(`The redis store purges a thousand entries, long and damaged ones, ${encrypted ? 'encrypted' : 'in the clear'}`, async () => {
        const store = stores.redis(encrypted ? { seal: new Encryption([newKey()]) } : {});
        const responseId = 'x'.repeat(10_000);
        for (let count = 0; count < 1000; count++) {
          const consumer = count % 2 === 0 ? 'ada' : 'bob';
          const more = count < 10 ? { responseId } : {};
          await store.set(`openai:u:${count}`, entry({ consumer, ...more }));
        }
        await isWritten(1000);
        await stores.client().set('test:entry:openai:u:damaged', 'x');
        expect(await store.purge({ consumer: 'ada' })).to.equal(501);
        expect((await stores.client().keys('*entry:*')).length).to.equal(500);
      });
    }

    for (const [what, aheadMs] of [
      ['ahead', 600_000],
      ['behind', -600_000],
    ] as const) {
      const other = { now: () => Date.now() + aheadMs };
      it(`The redis store keeps out an answer asked for before a purge whose gateway's clock is ${what}`, async () => {
        const [here, there] = [stores.redis(), stores.redis(other)];
        const askedAt = performance.now();
        await sleep(5);
        await there.purge({ model: 'bad' });
        await there.delete('by:key');
        await here.set('bad:1', entry({ model: 'bad' }), askedAt);
        await here.set('by:key', entry(), askedAt);
        await written(here);
        expect(await here.get('bad:1')).to.equal(undefined);
        expect(await here.get('by:key')).to.equal(undefined);
      });

      it(`The redis store keeps an answer asked for after a purge whose gateway's clock is ${what}`, async () => {
        const [here, there] = [stores.redis(), stores.redis(other)];
        await there.purge({});
        await sleep(20);
        await here.set('a', entry());
        await written(here);
        expect(await there.get('a')).to.not.equal(undefined);
      });

      it(`The redis store keeps the newer of two answers though a clock is ${what}`, async () => {
        const [here, there] = [stores.redis(), stores.redis(other)];
        const askedAt = performance.now();
        await sleep(20);
        await there.set('a', makeEntry(other.now(), { responseId: 'newer' }));
        await written(there);
        await here.set('a', entry({ responseId: 'older' }), askedAt);
        await written(here);
        expect((await here.get('a'))?.responseId).to.equal('newer');
        await sleep(5);
        await here.set('a', entry({ responseId: 'newest' }));
        await written(here);
        expect((await here.get('a'))?.responseId).to.equal('newest');
      });
    }

    it('The redis store takes back what it wrote while another gateway purged', async () => {
      const [here, there] = [stores.redis(), stores.redis()];
      const client = stores.client();
      const askedAt = performance.now();
      await sleep(5);
      // Another gateway's purge that has found nothing: its note alone is left.
      const covers = here.purges.covers.bind(here.purges);
      let isFirst = true;
      here.purges.covers = async (...args) => {
        const found = await covers(...args);
        if (isFirst) await there.purge({});
        isFirst = false;
        return found;
      };
      await here.set('a', entry(), askedAt);
      await written(here);
      await eventually(async () => (await client.exists('test:entry:a')) === 0, 'it is gone');
      expect(await here.get('a')).to.equal(undefined);
    });

    it('The redis store purges though its log of purges was overwritten', async () => {
      const store = stores.redis();
      await stores.client().set('test:purges', 'nonsense');
      await store.set('a', entry());
      await written(store);
      expect(await store.purge({})).to.equal(1);
      expect(await stores.client().type('test:purges')).to.equal('stream');
    });

    it('The redis store stores nothing that a purge it does not understand may cover', async () => {
      const store = stores.redis();
      const askedAt = performance.now();
      await sleep(5);
      await stores.client().xadd('test:purges', '*', 'purge', '{"filter":{"colour":"red"}}');
      await store.set('a', entry(), askedAt);
      await written(store);
      expect(await store.get('a')).to.equal(undefined);
    });

    it('The redis store purges its own entries and no others, whatever is in the namespace', async () => {
      const store = stores.redis();
      const client = stores.client();
      for (const namespace of ['a*', 'ab', 'a?[b]', 'a\\']) {
        await store.set(`${encodeURIComponent(namespace)}:s:d`, entry({ namespace }));
      }
      await isWritten(4);
      await client.mset('test:lease:{x}', '1', 'test:usage', '1', 'other:entry:a', '1');
      expect(await store.purge({ namespace: 'a*' })).to.equal(1);
      expect(await store.purge({ namespace: 'a?[b]' })).to.equal(1);
      expect(await store.purge({})).to.equal(2);
      expect((await client.keys('*')).toSorted()).to.deep.equal([
        'other:entry:a',
        'test:lease:{x}',
        'test:purges',
        'test:usage',
      ]);
    });

    it('The redis store does not bring back what was deleted or purged during its write', async () => {
      const store = stores.redis();
      const large = entry({ body: randomBytes(4_000_000) });
      await Promise.all(['x', 'y', 'z'].map((key) => store.set(key, large)));
      await store.set('a', entry());
      expect(await store.delete('a')).to.equal(true);
      await store.set('b', entry());
      expect(await store.purge({})).to.equal(4);
      expect(await stores.client().keys('*entry:*')).to.deep.equal([]);
    });

    it('The redis store refuses an entry larger than all that may wait', async () => {
      const store = stores.redis();
      expect(await store.set('a', entry({ body: new Uint8Array(33 * 1024 * 1024) }))).to.equal(
        false,
      );
      expect(store.stats().droppedWrites).to.equal(0);
    });
  });
});
