import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import type { RedisStore } from '../../../policies/llm-cache/stores/redis.ts';
import { Signature } from '../../../policies/llm-cache/stores/signature.ts';
import { NoRoom } from '../../../policies/llm-cache/stores/store.ts';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { answers } from '../../support/answers.ts';
import { makeEntry } from '../../support/entry.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { RedisStores } from '../../support/redis-stores.ts';

const key = randomBytes(32).toString('base64');
const name = 'test:entry:a';
const page = { limit: 100, cursor: null };

describe('A value in Redis that no gateway wrote', () => {
  let server: RedisServer;
  let stores: RedisStores;
  let client: Redis;

  before(async function () {
    if (!hasRedis()) return this.skip();
    server = await RedisServer.start();
  });
  after(() => server?.close());
  beforeEach(async () => {
    stores = new RedisStores(server.url);
    client = stores.client();
    await client.flushall();
  });
  afterEach(() => stores?.close());

  const entry = (parts = {}) => makeEntry(Date.now(), parts);
  async function stored(store: RedisStore, put = entry()): Promise<void> {
    await store.set('a', put);
    await eventually(async () => (await client.type(name)) === 'string', 'it is stored');
    await store.list({}, page);
  }

  /** What becomes of the value, told in the words of a title. */
  const changes: Readonly<Record<string, (value: Buffer) => Promise<unknown>>> = {
    'has a bit changed in its head': (value) => client.set(name, flipped(value, 100)),
    'has a bit changed in its body': (value) => client.set(name, flipped(value, value.length - 3)),
    'was cut': (value) => client.set(name, value.subarray(0, -1)),
    'was cut to its head': (value) => client.set(name, value.subarray(0, 80)),
    'was lengthened': (value) => client.set(name, Buffer.concat([value, Buffer.from('XXXX')])),
    'is another entry’s': async () => {
      await stores.redis().set('b', entry());
      await eventually(async () => (await client.exists('test:entry:b')) === 1, 'it is stored');
      await client.rename('test:entry:b', name);
    },
    'is empty': () => client.set(name, ''),
    'is megabytes of something else': () => client.set(name, Buffer.alloc(5_000_000, 65)),
    'is a list': async () => client.lpush(name, 'x'),
    'is a hash': async () => client.hset(name, 'x', 'y'),
    'is a stream': async () => client.xadd(name, '*', 'x', 'y'),
  };

  for (const [what, seal] of [
    ['signs', new Signature('secret')],
    ['encrypts', new Encryption([key])],
  ] as const) {
    it(`The redis store that ${what} keeps a body compressed, and returns it byte for byte`, async () => {
      const store = stores.redis({ seal });
      const body = Buffer.from(answers.chat.sse.repeat(200));
      await stored(store, entry({ body }));
      expect(await client.strlen(name)).to.be.below(body.length / 4);
      const got = await stores.redis({ seal }).get('a');
      expect(Buffer.compare(got?.body ?? Buffer.alloc(0), body)).to.equal(0);
    });

    for (const [how, change] of Object.entries(changes)) {
      it(`The redis store that ${what} takes a value that ${how} for a miss, and writes over it`, async () => {
        const store = stores.redis({ seal });
        await stored(store);
        const value = (await client.getBuffer(name)) ?? Buffer.alloc(0);
        await client.del(name);
        await change(value);
        expect(await store.get('a')).to.equal(undefined);
        // A listing reads heads alone.
        if (how !== 'has a bit changed in its body') {
          expect(await store.look('a')).to.equal(undefined);
          expect((await store.list({}, page)).entries).to.deep.equal([]);
        }
        await client.persist(name);
        await stored(store, entry({ responseId: 'new' }));
        await eventually(
          async () => (await store.get('a'))?.responseId === 'new',
          'it is written over',
        );
        expect(await client.pttl(name)).to.be.above(0);
      });
    }
  }

  it('The redis store counts each foreign value, logs it once, and shows nothing of it', async () => {
    const store = stores.redis();
    await client.set(name, 'a secret');
    await client.lpush('test:entry:b', 'a secret');
    for (const one of ['a', 'b', 'a', 'b']) expect(await store.get(one)).to.equal(undefined);
    expect(store.stats().errors).to.equal(4);
    expect(stores.said.toSorted()).to.deep.equal([
      'llm-cache: store "shared" has values that this gateway does not trust, and treats as misses',
      'llm-cache: store "shared" refuses commands (WRONGTYPE)',
    ]);
  });

  it('The redis store takes an entry of another version for a miss, not for a fault', async () => {
    const store = stores.redis();
    await stored(store);
    await client.setrange(name, 4, '\u0004');
    expect(await store.get('a')).to.equal(undefined);
    expect(store.stats().errors).to.equal(0);
    expect(stores.said).to.deep.equal([]);
  });

  it('The redis store takes an entry under another secret for a miss', async () => {
    await stored(stores.redis({ seal: new Signature('other') }));
    expect(await stores.redis().get('a')).to.equal(undefined);
  });

  it('The redis store neither lists nor counts foreign values, and purges past them', async () => {
    const store = stores.redis();
    await store.set('ns:one', entry());
    await eventually(async () => (await client.dbsize()) === 1, 'it is stored');
    await client.set('test:entry:ns:text', 'x');
    await client.lpush('test:entry:ns:list', 'x');
    await client.hset('test:entry:ns:hash', 'x', 'y');
    const { entries } = await store.list({}, page);
    expect(entries.map((one) => one.key)).to.deep.equal(['ns:one']);
    expect((await store.list({ model: 'gpt-4o' }, page)).entries.length).to.equal(1);
    store.stats();
    await eventually(() => store.stats().entries !== null, 'they are counted');
    expect(store.stats().bytes).to.be.above(100);
    expect(await store.purge({ consumer: 'nobody' })).to.equal(3);
    expect(await client.keys('*entry:*')).to.deep.equal(['test:entry:ns:one']);
  });

  it('The redis store counts uses from zero where a counter holds a foreign value', async () => {
    const store = stores.redis();
    const puts = new Map(['one', 'two', 'three', 'four'].map((id) => [id, entry()]));
    for (const [id, put] of puts) await store.set(id, put);
    await store.list({}, page);
    const counter = (id: string) => `test:hits:${(puts.get(id)?.storedAt ?? 0).toString(36)}:${id}`;
    await client.lpush(counter('one'), 'x');
    await client.set(counter('two'), 'nonsense');
    await client.set(counter('three'), '9223372036854775807');
    const hits = async () => (await store.list({}, page)).entries.map((one) => one.hits);
    expect(await hits()).to.deep.equal([0, 0, 0, 0]);
    for (const [id, put] of puts) for (const _ of [1, 2]) store.used(id, put);
    expect(await hits()).to.deep.equal([2, 2, 2, 2]);
    expect(await client.pttl(counter('one'))).to.be.above(0);
  });

  it('The tiered store keeps foreign values out of its near store', async () => {
    const { store, near } = stores.tiered();
    await eventually(() => store.isNearInUse, 'it hears of purges');
    await stored(stores.redis());
    await client.set(name, flipped((await client.getBuffer(name)) ?? Buffer.alloc(0), 120));
    expect(await store.get('a')).to.equal(undefined);
    expect(near.stats().entries).to.equal(0);
  });

  it('The redis store replaces an entry from a clock that is ahead by a newer answer', async () => {
    const store = stores.redis();
    await stored(store, entry({ storedAt: Date.now() + 3_600_000, responseId: 'ahead' }));
    await store.set('a', entry({ responseId: 'new' }));
    await store.list({}, page);
    expect((await store.get('a'))?.responseId).to.equal('new');
  });
});

describe('An answer that many read from Redis', () => {
  let server: RedisServer;
  let stores: RedisStores;
  let client: Redis;
  const body = randomBytes(500_000);

  before(async function () {
    if (!hasRedis()) return this.skip();
    server = await RedisServer.start();
  });
  after(() => server?.close());
  beforeEach(async () => {
    stores = new RedisStores(server.url);
    client = stores.client();
    await client.flushall();
    await stores.redis().set('a', makeEntry(Date.now(), { body }));
    await eventually(async () => (await client.exists(name)) === 1, 'it is stored');
    await client.config('RESETSTAT');
  });
  afterEach(() => stores?.close());

  const reads = async () =>
    Number(/cmdstat_getrange:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0);
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('The redis store reads a body once for 50 readers, and charges it once until they hold it', async () => {
    const budget = new ByteBudget(600_000);
    const store = stores.redis({ budget, timeoutMs: 1000 });
    const all = await Promise.all(Array.from({ length: 50 }, () => store.get('a')));
    expect(new Set(all).size).to.equal(1);
    expect(Buffer.compare(all[0]?.body ?? new Uint8Array(), body)).to.equal(0);
    expect(budget.held).to.equal(500_000);
    // Its begin, and its body.
    expect(await reads()).to.equal(2);
    await turn();
    expect(budget.held).to.equal(0);
  });

  it('The redis store reads a body once while a reader still has it', async () => {
    const store = stores.redis({ timeoutMs: 1000 });
    const first = await store.get('a');
    for (const _ of [1, 2, 3]) expect(await store.get('a')).to.equal(first);
    expect(await reads()).to.equal(5);
  });

  it('The redis store does not read a body that there is no room for, and counts no fault', async () => {
    const budget = new ByteBudget(499_999);
    const store = stores.redis({ budget, timeoutMs: 1000 });
    const error = await store.get('a').catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(NoRoom);
    expect([await reads(), budget.held, store.stats().errors]).to.deep.equal([1, 0, 0]);
    expect(await store.look('a')).to.include({ bytes: 500_000 });
  });

  it('The redis store serves no deleted entry, though a client still reads it', async () => {
    const store = stores.redis({ timeoutMs: 1000 });
    const early = store.get('a');
    await store.delete('a');
    expect(await store.get('a')).to.equal(undefined);
    await early;
  });

  it('The redis store returns bodies that hold no more memory than they need', async () => {
    await stores.redis().set('small', makeEntry(Date.now()));
    await eventually(async () => (await client.exists('test:entry:small')) === 1, 'it is stored');
    for (const one of ['a', 'small']) {
      const found = await stores.redis({ timeoutMs: 1000 }).get(one);
      expect(found?.body.buffer.byteLength).to.equal(found?.body.length);
    }
  });
});

function flipped(value: Buffer, at: number): Buffer {
  const changed = Buffer.from(value);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
