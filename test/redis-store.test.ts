import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { Encryption } from '../policies/llm-cache/stores/encryption.ts';
import { MemoryStore } from '../policies/llm-cache/stores/memory.ts';
import { RedisConnection } from '../policies/llm-cache/stores/redis-connection.ts';
import { RedisStore } from '../policies/llm-cache/stores/redis.ts';
import type { Store } from '../policies/llm-cache/stores/store.ts';
import { TieredStore } from '../policies/llm-cache/stores/tiered.ts';
import { makeEntry } from './support/entry.ts';
import { eventually } from './support/eventually.ts';
import { hasRedis, RedisServer } from './support/redis-server.ts';
import { describeStore, type StoreUnderTest } from './support/store-contract.ts';

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const keyPrefix = 'test:';
const silent = { info() {}, warn() {}, error() {} };

describe('with a real Redis', () => {
  let server: RedisServer;
  let said: string[] = [];
  const opened: { close(): unknown }[] = [];

  before(async function () {
    if (!hasRedis()) return this.skip();
    server = await RedisServer.start();
  });
  after(() => server?.close());
  beforeEach(async () => {
    said = [];
    const client = new Redis(server.url);
    await client.flushall();
    client.disconnect();
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.close();
  });

  function connect(url = server.url, timeoutMs = 100): RedisConnection {
    const log = {
      info: (text: string) => void said.push(text),
      warn: (text: string) => void said.push(text),
      error: () => {},
    };
    const connection = new RedisConnection({ name: 'shared', url, options: {}, timeoutMs, log });
    opened.push(connection);
    return connection;
  }
  function redisStore(encryption: Encryption | null = null, url?: string): RedisStore {
    const connection = connect(url);
    return new RedisStore({ connection, keyPrefix, encryption, coalesceAcross: true });
  }
  function tieredStore(nearTtl = 30): { store: TieredStore; near: MemoryStore } {
    const connection = connect();
    const near = new MemoryStore({ maxBytes: 1_000_000 });
    const far = new RedisStore({ connection, keyPrefix, encryption: null, coalesceAcross: true });
    const store = new TieredStore({ near, far, connection, keyPrefix, nearTtl });
    opened.push(store);
    return { store, near };
  }
  const underTest = (store: Store): StoreUnderTest => ({ store, now: Date.now, advance: sleep });

  describeStore('the redis store', async () => underTest(redisStore()));
  describeStore('the redis store, encrypted', async () =>
    underTest(redisStore(new Encryption([randomBytes(32).toString('base64')]))),
  );
  describeStore('the tiered store', async () => underTest(tieredStore().store));

  const entry = (parts = {}) => makeEntry(Date.now(), parts);

  describe('the redis store', () => {
    it('writes the body as it is, under prefix, namespace and scope, with its time to live', async () => {
      const store = redisStore();
      const body = randomBytes(500);
      await store.set('openai:anonymous:digest', entry({ body }));
      const client = new Redis(server.url);
      opened.push({ close: () => client.disconnect() });
      await eventually(async () => (await client.dbsize()) === 1, 'it is written');
      expect(await client.keys('*')).to.deep.equal(['test:entry:openai:anonymous:digest']);
      const bytes = await client.getBuffer('test:entry:openai:anonymous:digest');
      expect(bytes?.includes(body)).to.equal(true);
      expect(await client.pttl('test:entry:openai:anonymous:digest')).to.be.within(
        3_600_000,
        3_660_000,
      );
    });

    it('takes an entry of a newer version for a miss', async () => {
      const store = redisStore();
      await store.set('a', entry());
      const client = new Redis(server.url);
      opened.push({ close: () => client.disconnect() });
      await eventually(async () => (await client.dbsize()) === 1, 'it is written');
      await client.setrange('test:entry:a', 4, '\u0002');
      expect(await store.get('a')).to.equal(undefined);
    });

    it('decrypts with any of its keys, and takes what is not authentic for a miss', async () => {
      const [old, fresh] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
      const before = redisStore(new Encryption([old]));
      await before.set('a', entry({ body: new TextEncoder().encode('secret answer') }));
      expect(await before.get('a')).to.not.equal(undefined);
      const client = new Redis(server.url);
      opened.push({ close: () => client.disconnect() });
      expect((await client.getBuffer('test:entry:a'))?.includes('secret answer')).to.equal(false);

      expect(await redisStore(new Encryption([fresh, old])).get('a')).to.not.equal(undefined);
      expect(await redisStore(new Encryption([fresh])).get('a')).to.equal(undefined);
      expect(await redisStore().get('a')).to.equal(undefined);
      await client.rename('test:entry:a', 'test:entry:b');
      expect(await before.get('b')).to.equal(undefined);
      await client.rename('test:entry:b', 'test:entry:a');
      await client.setrange('test:entry:a', 60, 'x');
      expect(await before.get('a')).to.equal(undefined);
    });
  });

  describe('a frozen Redis', () => {
    it('costs a few requests their deadline and the rest nothing, and is used again when it is back', async () => {
      const store = redisStore();
      await store.set('a', entry());
      await eventually(async () => (await store.get('a')) !== undefined, 'it is stored');
      server.freeze();
      try {
        for (let count = 0; count < 3; count++) {
          await store.get('a').then(
            () => expect.fail(),
            () => {},
          );
        }
        // The breaker is open: a hundred more are refused in one turn of the loop.
        const turn = new Promise((resolve) => setImmediate(() => resolve('turn')));
        const rest = Promise.allSettled(Array.from({ length: 100 }, () => store.get('a')));
        expect(await Promise.race([rest, turn])).to.not.equal('turn');
      } finally {
        server.thaw();
      }
      await eventually(
        async () => {
          const got = await store.get('a').catch(() => undefined);
          return got !== undefined;
        },
        'it is used again within three seconds',
        3000,
      );
      expect(said.map((text) => /does not answer|answers again/.exec(text)?.[0])).to.deep.equal([
        'does not answer',
        'answers again',
      ]);
    });
  });

  describe('a Redis that is not there', () => {
    it('refuses at once, and is used when it comes', async () => {
      const later = await RedisServer.down();
      const store = redisStore(null, later.url);
      for (let count = 0; count < 20; count++)
        await store.get('a').then(
          () => expect.fail(),
          () => {},
        );
      await store.set('a', entry());
      await eventually(() => store.stats().droppedWrites === 1, 'the write is counted as dropped');
      await later.run();
      await eventually(
        async () =>
          store
            .set('a', entry())
            .then(() => store.get('a'))
            .then(
              (got) => got !== undefined,
              () => false,
            ),
        'it is used',
        3000,
      );
      await later.kill();
      await eventually(
        () =>
          store.get('a').then(
            () => false,
            () => true,
          ),
        'it is gone again',
      );
      await later.run();
      await eventually(
        () =>
          store.get('a').then(
            () => true,
            () => false,
          ),
        'it is back',
        4000,
      );
      await later.close();
      expect(said.filter((text) => text.includes('does not answer')).length).to.be.within(1, 2);
    });

    it('that talks nonsense is one that does not answer', async () => {
      const nonsense = createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
      });
      await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
      const { port } = nonsense.address() as AddressInfo;
      const store = redisStore(null, `redis://127.0.0.1:${port}`);
      for (let count = 0; count < 5; count++)
        await store.get('a').then(
          () => expect.fail(),
          () => {},
        );
      await store.close();
      nonsense.close();
    });
  });

  it('a cluster is one through the client’s own options', async () => {
    const node = await RedisServer.start([
      '--cluster-enabled',
      'yes',
      '--cluster-announce-ip',
      '127.0.0.1',
    ]);
    const admin = new Redis(node.url);
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await eventually(
      async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
      'the cluster is up',
      10_000,
    );
    const options = { cluster: [{ host: '127.0.0.1', port: node.port }] };
    const connection = new RedisConnection({
      name: 'c',
      url: undefined,
      options,
      timeoutMs: 500,
      log: silent,
    });
    const store = new RedisStore({ connection, keyPrefix, encryption: null, coalesceAcross: true });
    await eventually(
      async () =>
        store
          .set('ns:a:1', entry({ namespace: 'ns' }))
          .then(() => store.get('ns:a:1'))
          .then(
            (got) => got !== undefined,
            () => false,
          ),
      'it stores and reads',
    );
    const lease = await store.relay?.lease('ns:a:2');
    expect(lease).to.not.equal(null);
    expect(await store.relay?.lease('ns:a:2')).to.equal(null);
    await lease?.end('failed');
    expect(await store.relay?.lease('ns:a:2')).to.not.equal(null);
    expect(await store.purge({ namespace: 'ns' })).to.equal(1);
    await store.close();
    admin.disconnect();
    await node.close();
  });

  it('a full Redis keeps what it has, and says no to the rest', async () => {
    const full = await RedisServer.start([
      '--maxmemory',
      '3mb',
      '--maxmemory-policy',
      'noeviction',
    ]);
    const store = redisStore(null, full.url);
    await store.set('a', entry());
    await eventually(async () => (await store.get('a')) !== undefined, 'it is stored');
    for (let count = 0; count < 40; count++) {
      await store.set(`b${count}`, entry({ body: randomBytes(100_000) }));
      await store.get('a');
    }
    await eventually(() => store.stats().droppedWrites > 5, 'writes are dropped');
    expect(await store.get('a')).to.not.equal(undefined);
    expect(said).to.deep.equal([]);
    await store.close();
    await full.close();
  });

  describe('the tiered store', () => {
    it('answers from near, and for nearTtl at most', async () => {
      const { store, near } = tieredStore(1);
      await store.set('a', entry());
      expect(await near.get('a')).to.not.equal(undefined);
      await eventually(async () => (await near.get('a')) === undefined, 'it is near no more');
      expect(await store.get('a')).to.not.equal(undefined);
      expect((await near.get('a'))?.freshUntil).to.equal((await store.get('a'))?.freshUntil);
    });

    it('throws out of every gateway’s near store what one of them purges', async () => {
      const [one, two] = [tieredStore(), tieredStore()];
      await one.store.set('a', entry({ namespace: 'x' }));
      await one.store.set('b', entry({ namespace: 'y' }));
      await eventually(async () => {
        await two.store.get('a');
        await two.store.get('b');
        return two.near.stats().entries === 2;
      }, 'both are near in both');
      await one.store.delete('a');
      await eventually(async () => (await two.near.get('a')) === undefined, 'the delete is heard');
      await two.store.purge({ namespace: 'y' });
      await eventually(async () => (await one.near.get('b')) === undefined, 'the purge is heard');
    });

    it('empties its near store when it loses the connection by which it hears of purges', async () => {
      const own = await RedisServer.start();
      const connection = connect(own.url);
      const near = new MemoryStore({ maxBytes: 1_000_000 });
      const far = new RedisStore({ connection, keyPrefix, encryption: null, coalesceAcross: true });
      const store = new TieredStore({ near, far, connection, keyPrefix, nearTtl: 30 });
      await eventually(async () => {
        await store.set('a', entry());
        return (await near.get('a')) !== undefined;
      }, 'it is near');
      await own.kill();
      await eventually(() => near.stats().entries === 0, 'the near store is empty');
      await store.close();
      await own.close();
    });
  });
});
