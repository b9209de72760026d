import { expect } from 'chai';
import { MemoryStore } from '../../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from '../../support/entry.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { RedisStores } from '../../support/redis-stores.ts';

describe('The tiered store', () => {
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

  const entry = (parts = {}) => makeEntry(Date.now(), parts);

  /** One that hears of purges. */
  async function tiered(choices: Parameters<RedisStores['tiered']>[0] = {}) {
    const made = stores.tiered(choices);
    await eventually(() => made.store.isNearInUse, 'it hears of purges');
    return made;
  }
  const isFar = (key: string) =>
    eventually(async () => (await stores.client().exists(`test:entry:${key}`)) === 1, 'it is far');

  it('The tiered store answers from near, without asking Redis', async () => {
    const { store } = await tiered();
    await store.set('a', entry());
    await isFar('a');
    await stores.client().del('test:entry:a');
    expect(await store.get('a')).to.not.equal(undefined);
  });

  it('The tiered store keeps near what it found far, unchanged, for nearTtl at most', async () => {
    let now = Date.now();
    const near = new MemoryStore({ maxBytes: 1_000_000, now: () => now });
    const { store, far } = await tiered({ near, nearTtl: 30, now: () => now });
    const put = entry({ freshUntil: now + 100_000, expiresAt: now + 160_000 });
    await far.set('a', put);
    await isFar('a');
    const found = await store.get('a');
    await stores.client().del('test:entry:a');
    now += 29_000;
    const again = await store.get('a');
    for (const one of [found, again]) {
      expect(one).to.include({
        storedAt: put.storedAt,
        freshUntil: put.freshUntil,
        expiresAt: put.expiresAt,
      });
    }
    now += 2000;
    expect(await store.get('a')).to.equal(undefined);
    expect(near.stats().entries).to.equal(0);
  });

  it('The tiered store drops what any gateway deletes or purges from every near store', async () => {
    const [one, two] = [await tiered(), await tiered()];
    await one.store.set('x:a', entry({ namespace: 'x' }));
    await one.store.set('y:b', entry({ namespace: 'y' }));
    await one.store.set('z:c', entry({ namespace: 'z' }));
    for (const key of ['x:a', 'y:b', 'z:c']) {
      await isFar(key);
      expect(await two.store.get(key)).to.not.equal(undefined);
    }
    expect(await one.store.delete('x:a')).to.equal(true);
    expect(await one.store.get('x:a')).to.equal(undefined);
    await eventually(async () => (await two.store.get('x:a')) === undefined, 'the delete is heard');
    expect(await two.store.purge({ namespace: 'y' })).to.equal(1);
    expect(await two.store.get('y:b')).to.equal(undefined);
    await eventually(async () => (await one.store.get('y:b')) === undefined, 'the purge is heard');
    for (const { near } of [one, two]) expect(near.stats().entries).to.equal(1);
  });

  it('The tiered store hears the purges of a gateway that has no near store', async () => {
    const { store, near } = await tiered();
    await store.set('openai:a', entry());
    await isFar('openai:a');
    await stores.redis().purge({ namespace: 'openai' });
    await eventually(() => near.stats().entries === 0, 'it is near no more');
    // What was asked for in the millisecond of the purge may have been asked for before it.
    await eventually(async () => {
      await store.set('openai:b', entry());
      return (await stores.client().exists('test:entry:openai:b')) === 1;
    }, 'it is kept again');
    await stores.redis().delete('openai:b');
    await eventually(() => near.stats().entries === 0, 'it is near no more');
  });

  it('The tiered store empties its near store at a message that it does not understand', async () => {
    const { store, near } = await tiered();
    for (const text of ['nonsense', '[]', '{"filter":{"colour":"red"}}', '{"filter":null}']) {
      await store.set('a', entry());
      expect(near.stats().entries).to.equal(1);
      await stores.client().publish('test:purge', text);
      await eventually(() => near.stats().entries === 0, `emptied at ${text}`);
    }
  });

  it('The tiered store keeps nothing near that was deleted while it was read', async () => {
    const { store, far, near } = await tiered();
    await far.set('a', entry());
    await isFar('a');
    const read = far.get.bind(far);
    far.get = async (key) => {
      const found = await read(key);
      await stores.redis().delete(key);
      // Until the message has come by.
      await stores.client().publish('test:purge', JSON.stringify({ key: 'mark' }));
      await eventually(() => heard.includes('mark'), 'the delete was heard');
      return found;
    };
    const heard: string[] = [];
    const listening = far.purges.listen({
      purged: (purge) => void ('key' in purge && heard.push(purge.key)),
      missed: () => {},
    });
    await eventually(async () => {
      await stores.client().publish('test:purge', JSON.stringify({ key: 'begin' }));
      return heard.includes('begin');
    }, 'the test hears as well');
    expect(await store.get('a')).to.not.equal(undefined);
    expect(near.stats().entries).to.equal(0);
    listening.stop();
    far.get = read;
    expect(await store.get('a')).to.equal(undefined);
  });

  it("The tiered store leaves others' entries in the near memory store alone", async () => {
    const near = new MemoryStore({ maxBytes: 1_000_000 });
    const { store } = await tiered({ near });
    await near.set('a', entry({ responseId: 'theirs' }));
    await store.set('a', entry({ responseId: 'ours' }));
    expect((await near.get('a'))?.responseId).to.equal('theirs');
    expect((await store.get('a'))?.responseId).to.equal('ours');
    await store.purge({});
    await store.close();
    expect((await near.get('a'))?.responseId).to.equal('theirs');
    expect(near.stats().entries).to.equal(1);
  });

  it('The tiered store leaves the far store open when it is closed', async () => {
    const { store, far } = await tiered();
    await store.set('a', entry());
    await store.close();
    await isFar('a');
    expect(await far.get('a')).to.not.equal(undefined);
  });

  describe('A lost connection', () => {
    let own: RedisServer;
    beforeEach(async () => {
      own = await RedisServer.start();
    });
    afterEach(() => own.close());

    it('The tiered store empties its near store when Redis dies, and uses it again when it hears again', async () => {
      const { store, near, far } = await tiered({ url: own.url });
      await store.set('a', entry());
      expect(near.stats().entries).to.equal(1);
      await own.kill();
      await eventually(() => near.stats().entries === 0, 'the near store is empty');
      await store.set('b', entry());
      expect(near.stats().entries).to.equal(0);
      await own.run();
      await eventually(() => store.isNearInUse, 'it hears again');
      await eventually(
        () =>
          far.get('a').then(
            () => true,
            () => false,
          ),
        'Redis is used again',
      );
      await store.set('a', entry());
      expect(near.stats().entries).to.equal(1);
    });

    it('The tiered store empties its near store when only the subscription is lost', async () => {
      const { store, near } = await tiered({ url: own.url });
      await store.set('a', entry());
      expect(near.stats().entries).to.equal(1);
      await stores.client(own.url).call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually(() => near.stats().entries === 0, 'the near store is empty');
      await eventually(() => store.isNearInUse, 'it hears again');
      expect(await store.get('a')).to.not.equal(undefined);
    });

    it('The tiered store notices a Redis that went silent', async () => {
      const { store, near } = await tiered({ url: own.url });
      await store.set('a', entry());
      own.freeze();
      await eventually(() => near.stats().entries === 0, 'the near store is empty', 4000);
      own.thaw();
      await eventually(() => store.isNearInUse, 'it hears again', 4000);
    });

    it('The tiered store uses no near store where it may not subscribe', async () => {
      const client = stores.client(own.url);
      await client.acl('SETUSER', 'deaf', 'on', '>pw', '~*', '+@all', 'resetchannels');
      const { store, near } = stores.tiered({
        url: own.url,
        options: { username: 'deaf', password: 'pw' },
      });
      await eventually(
        async () => ((await client.acl('LOG')) as unknown[]).length > 0,
        'the subscription is refused',
      );
      await store.set('a', entry());
      await eventually(async () => (await client.exists('test:entry:a')) === 1, 'it is far');
      expect(await store.get('a')).to.not.equal(undefined);
      expect(near.stats().entries).to.equal(0);
    });
  });
});
