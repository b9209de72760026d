import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { expect } from 'chai';
import type { RedisStore } from '../../../policies/llm-cache/stores/redis.ts';
import { makeEntry } from '../../support/entry.ts';
import { useFakeClock } from '../../support/fake-clock.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { RedisStores } from '../../support/redis-stores.ts';
import { SilentProxy } from '../../support/silent-proxy.ts';

const unexpected = () => expect.fail('it succeeded');

describe('The redis store', () => {
  let server: RedisServer;
  let stores: RedisStores;

  before(function () {
    if (!hasRedis()) this.skip();
  });
  beforeEach(async () => {
    server = await RedisServer.start();
    stores = new RedisStores(server.url, 100);
  });
  afterEach(async () => {
    server?.thaw();
    await stores?.close();
    await server?.close();
  });

  const entry = (parts = {}) => makeEntry(Date.now(), parts);
  const answers = (store: RedisStore) =>
    store.get('a').then(
      (found) => found !== undefined,
      () => false,
    );
  const failing = (store: RedisStore) => store.get('a').then(unexpected, () => {});
  /** Whether `failed` is settled within this turn of the loop, and so has waited for no clock and no answer. */
  const isAtOnce = (failed: Promise<unknown>) =>
    Promise.race([
      failed.then(() => true),
      new Promise<boolean>((resolve) => setImmediate(() => resolve(false))),
    ]);
  /** Failures one after the other until they wait no more: the times of those that did. */
  async function untilOpen(store: RedisStore): Promise<number[]> {
    const times: number[] = [];
    for (;;) {
      const begin = performance.now();
      const failed = failing(store);
      if (await isAtOnce(failed)) return times;
      await failed;
      times.push(performance.now() - begin);
    }
  }
  async function stored(choices: Parameters<RedisStores['redis']>[0] = {}): Promise<RedisStore> {
    const store = stores.redis(choices);
    // Not before the store knows that it has arrived: what is on its way is answered from here.
    await eventually(async () => {
      await store.set('a', entry()).catch(() => {});
      return (await store.purge({}, true).catch(() => 0)) === 1;
    }, 'it is stored');
    return store;
  }
  const states = () =>
    stores.said.map((text) => /does not answer|answers again|refuses/.exec(text)?.[0] ?? text);

  describe('A frozen Redis', () => {
    it('The redis store costs three requests their deadline when Redis freezes, and the rest nothing', async () => {
      const store = await stored();
      server.freeze();
      const times = await untilOpen(store);
      expect(times.length).to.equal(3);
      for (const time of times) expect(time).to.be.at.least(90);
      const rest = Promise.all(Array.from({ length: 1000 }, () => failing(store)));
      expect(await isAtOnce(rest)).to.equal(true);
    });

    describe('A Redis that is frozen for a while', () => {
      const clock = useFakeClock({ toFake: ['setInterval', 'clearInterval'] });

      for (const seconds of [0, 1, 6]) {
        it(`The redis store uses Redis again within a second after ${seconds} s frozen, and logs both once`, async () => {
          const store = await stored();
          server.freeze();
          await untilOpen(store);
          for (let second = 0; second < seconds; second++) {
            clock().tick(1000);
            await failing(store);
          }
          server.thaw();
          clock().tick(1000);
          await eventually(() => answers(store), 'it is used again', 3000);
          expect(states()).to.deep.equal(['does not answer', 'answers again']);
          expect(stores.said[0]).to.equal(
            'llm-cache: store "shared" does not answer (no answer within 100 ms); requests go on without it',
          );
        });
      }
    });

    it('The redis store drops and counts writes to a frozen Redis, and holds none of them', async () => {
      const store = await stored();
      server.freeze();
      for (let count = 0; count < 200; count++) {
        await store.set(`b${count}`, entry({ body: randomBytes(500_000) })).catch(() => {});
      }
      expect(store.stats().droppedWrites).to.be.greaterThan(100);
      await eventually(() => store.stats().droppedWrites === 200, 'all are dropped', 2000);
    });

    it('The redis store rejects deletions and purges while Redis is frozen', async () => {
      const store = await stored();
      server.freeze();
      for (const ask of [() => store.delete('a'), () => store.purge({})]) {
        await ask().then(unexpected, (error: Error) => {
          expect(error.name).to.equal('StoreUnavailable');
        });
      }
    });

    it('The redis store closes though its Redis is frozen', async () => {
      const store = await stored();
      server.freeze();
      await store.set('b', entry());
      const begin = performance.now();
      await store.close();
      expect(performance.now() - begin).to.be.below(5000);
    });
  });

  it('The redis store reconnects when the other end vanishes without a word', async () => {
    const proxy = await SilentProxy.start(server.port);
    const store = await stored({ url: proxy.url });
    proxy.lose();
    await untilOpen(store);
    proxy.passAgain();
    await eventually(() => answers(store), 'it is used again', 3000);
    await store.close();
    await proxy.close();
  });

  it('The redis store refuses at once while Redis is down, and uses it within three seconds of its start', async () => {
    const later = await RedisServer.down();
    const store = stores.redis({ url: later.url });
    await eventually(() => stores.said.length > 0, 'it is said');
    expect(await isAtOnce(failing(store))).to.equal(true);
    await later.run();
    await eventually(
      () =>
        store.get('a').then(
          () => true,
          () => false,
        ),
      'it is used',
      3000,
    );
    for (let round = 0; round < 2; round++) {
      await later.kill();
      await eventually(async () => (await store.get('a').catch(() => 'gone')) === 'gone', 'gone');
      await eventually(
        () => stores.said.at(-1)?.includes('does not answer') ?? false,
        'it is said',
      );
      expect(await isAtOnce(failing(store))).to.equal(true);
      await later.run();
      await eventually(
        () =>
          store.get('a').then(
            () => true,
            () => false,
          ),
        'it is back',
        3000,
      );
    }
    const both = ['does not answer', 'answers again'];
    expect(states()).to.deep.equal([...both, ...both, ...both]);
    expect(stores.said[0]).to.include('(ECONNREFUSED)');
    await store.close();
    await later.close();
  });

  for (const [what, babble] of [
    ['nonsense', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['nothing', ''],
  ] as const) {
    it(`The redis store takes a server that says ${what} for a Redis that does not answer`, async () => {
      const sockets = new Set<Socket>();
      const other = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('data', () => babble && socket.write(babble));
      });
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const { port } = other.address() as AddressInfo;
      const store = stores.redis({ url: `redis://127.0.0.1:${port}` });
      for (let count = 0; count < 3; count++) await failing(store);
      await eventually(() => stores.said.length > 0, 'it is said');
      expect(await isAtOnce(failing(store))).to.equal(true);
      await store.close();
      for (const socket of sockets) socket.destroy();
      other.close();
      expect(states()).to.deep.equal(['does not answer']);
    });
  }

  it('The redis store goes on using a full Redis, counts refused writes, and logs it once', async () => {
    const full = await RedisServer.start([
      '--maxmemory',
      '3mb',
      '--maxmemory-policy',
      'noeviction',
    ]);
    const store = stores.redis({ url: full.url, timeoutMs: 2000 });
    await store.set('a', entry());
    for (let count = 0; count < 60; count++) {
      await store.set(`b${count}`, entry({ body: randomBytes(100_000) }));
    }
    await eventually(() => store.stats().droppedWrites > 5, 'writes are dropped');
    await eventually(() => answers(store), 'it answers');
    await eventually(() => stores.said.length > 0, 'it is said');
    expect(stores.said).to.deep.equal(['llm-cache: store "shared" refuses commands (OOM)']);
    await store.close();
    await full.close();
  });

  it('The redis store logs that its password is wrong, without the password', async () => {
    await stores.client().config('SET', 'requirepass', 'right');
    const store = stores.redis({ options: { password: 'hunter2' } });
    await eventually(() => stores.said.length > 0, 'it is said');
    expect(await isAtOnce(failing(store))).to.equal(true);
    expect(stores.said.join('\n'))
      .to.match(/WRONGPASS/)
      .and.not.match(/hunter2/);
  });

  it('The redis store writes much at once without keeping reads waiting', async () => {
    const store = await stored({ timeoutMs: 500 });
    const body = randomBytes(1_000_000);
    for (let count = 0; count < 25; count++) await store.set(`b${count}`, entry({ body }));
    const begin = performance.now();
    expect(await answers(store)).to.equal(true);
    const waited = performance.now() - begin;
    await eventually(async () => (await stores.client().dbsize()) === 26, 'all are written');
    expect(store.stats()).to.include({ droppedWrites: 0, errors: 0 });
    expect(waited).to.be.below(1000);
  });

  it('The redis store holds a bounded number of waiting bytes, and counts the rest as dropped', async () => {
    const store = await stored({ timeoutMs: 2000 });
    const body = randomBytes(8_000_000);
    for (let count = 0; count < 4; count++) await store.set(`b${count}`, entry({ body }));
    for (let count = 4; count < 10; count++) {
      await store.set(`b${count}`, entry({ body })).then(unexpected, (error: Error) => {
        expect(error.name).to.equal('StoreUnavailable');
      });
    }
    expect(store.stats().droppedWrites).to.equal(6);
    await eventually(async () => (await stores.client().dbsize()) === 5, 'the others are written');
  });

  it('The redis store sends no write after its deadline', async () => {
    const proxy = await SilentProxy.start(server.port);
    proxy.lose();
    const store = stores.redis({ url: proxy.url });
    await store.set('late', entry());
    await eventually(() => store.stats().droppedWrites === 1, 'it is given up');
    await untilOpen(store);
    proxy.passAgain();
    await eventually(
      () =>
        store.get('b').then(
          () => true,
          () => false,
        ),
      'it is used',
      5000,
    );
    expect(await stores.client().exists('test:entry:late')).to.equal(0);
    await store.close();
    await proxy.close();
  });
});
