import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { checkStores } from '../../../policies/hosts/store-checks.ts';
import { readSettings } from '../../../policies/hosts/configuration.ts';
import { redisOfGateway } from '../../../policies/hosts/gateway-redis.ts';
import { StoreRegistry } from '../../../policies/llm-cache/stores/registry.ts';
import type { Store } from '../../../policies/llm-cache/stores/store.ts';
import { ConfigurationError } from '../../../schemas/validate.ts';
import { makeEntry } from '../../support/entry.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';

const log = { info() {}, warn() {}, error() {} };
const entry = (parts = {}) => makeEntry(Date.now(), parts);
const newKey = () => randomBytes(32).toString('base64');

describe('The settings of a redis store', () => {
  const servers: RedisServer[] = [];
  const opened: (() => unknown)[] = [];
  before(function () {
    if (!hasRedis()) this.skip();
  });
  afterEach(async () => {
    for (const close of opened.splice(0)) await close();
    for (const server of servers.splice(0)) await server.close();
  });

  async function start(...options: string[]): Promise<RedisServer> {
    const server = await RedisServer.start(options);
    servers.push(server);
    return server;
  }
  function client(url: string, options = {}): Redis {
    const made = new Redis(url, options);
    made.on('error', () => {});
    opened.push(() => made.disconnect());
    return made;
  }

  /** The store that the gateway would have with these settings. */
  function open(settings: object, redis: object = { emulate: true, namespace: 'EG' }): Store {
    const systemConfig = { db: { redis } };
    const read = readSettings({
      settings: { stores: { shared: { type: 'redis', timeoutMs: 1000, ...settings } } },
    });
    checkStores(read, systemConfig);
    const registry = new StoreRegistry();
    registry.configure(read.stores, { gatewayRedis: redisOfGateway(systemConfig), log });
    const store = registry.open('shared');
    opened.push(() => store.close());
    return store;
  }
  async function stores(store: Store): Promise<void> {
    await eventually(
      async () => {
        try {
          await store.set('openai:u:a', entry());
          return (await store.get('openai:u:a')) !== undefined && store.stats().errors >= 0;
        } catch {
          return false;
        }
      },
      'it stores',
      10_000,
    );
  }
  const hasKeys = (one: Redis, names: readonly string[]) =>
    eventually(
      async () => JSON.stringify(await one.keys('*')) === JSON.stringify(names),
      `the keys are ${names.join()}`,
    );

  it('The redis settings name a database and a key prefix', async () => {
    const { url } = await start();
    await stores(open({ url: `${url}/3`, keyPrefix: 'mine:' }));
    await hasKeys(client(url, { db: 3 }), ['mine:entry:openai:u:a']);
    await stores(open({ url, options: { db: 4 } }));
    await hasKeys(client(url, { db: 4 }), ['llm-cache:entry:openai:u:a']);
  });

  it('The redis settings name a user and password, in the url or in the options', async () => {
    const { url, port } = await start();
    await client(url).acl('SETUSER', 'cache', 'on', '>pass/word', '~*', '&*', '+@all');
    await client(url).acl('SETUSER', 'default', 'off');
    await stores(open({ url: `redis://cache:pass%2Fword@127.0.0.1:${port}` }));
    await stores(open({ url, options: { username: 'cache', password: 'pass/word' } }));
  });

  it('The redis settings can ask for TLS, and refuse an unknown certificate', async function () {
    const dir = mkdtempSync(join(tmpdir(), 'llm-cache-tls-'));
    opened.push(() => rmSync(dir, { recursive: true, force: true }));
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    const request = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1`;
    const made = spawnSync('openssl', [...request.split(' '), '-keyout', key, '-out', cert]);
    if (made.status !== 0) {
      console.warn('      skipped: there is no openssl to make a certificate with');
      return this.skip();
    }
    const tlsPort = (await RedisServer.down()).port;
    const tls = `--tls-port ${tlsPort} --tls-auth-clients no`.split(' ');
    await start(...tls, '--tls-cert-file', cert, '--tls-key-file', key);
    const url = `rediss://127.0.0.1:${tlsPort}`;
    await stores(open({ url, options: { tls: { ca: readFileSync(cert, 'utf8') } } }));
    // As the gateway's own configuration has it.
    await stores(open({}, { host: '127.0.0.1', port: tlsPort, tls: { caFile: cert } }));
    const doubtful = open({ url });
    await eventually(
      () =>
        doubtful.get('a').then(
          () => false,
          () => true,
        ),
      'the certificate is refused',
    );
  });

  it("The redis settings without a url use the gateway's own Redis", async () => {
    const { url, port } = await start('--requirepass', 'pw');
    const own = {
      host: '127.0.0.1',
      port,
      password: 'pw',
      db: 2,
      namespace: 'EG',
      keyPrefix: 'EG:',
    };
    const store = open({}, own);
    await stores(store);
    await hasKeys(client(url, { password: 'pw', db: 2 }), ['llm-cache:entry:openai:u:a']);
    expect(await store.purge({ namespace: 'openai' })).to.equal(1);
  });

  it("The redis settings with a host of their own take nothing from the gateway's", async () => {
    const { port, url } = await start();
    const gateways = { host: '127.0.0.1', port: 1, username: 'eg', password: 'pw', db: 5 };
    await stores(open({ options: { host: '127.0.0.1', port } }, gateways));
    await hasKeys(client(url), ['llm-cache:entry:openai:u:a']);
  });

  it('The redis settings can name sentinels, whose master the store follows', async () => {
    const [one, two, sentinel] = [await start(), await start(), await RedisServer.down()];
    servers.push(sentinel);
    await sentinel.runSentinel();
    const tell = (...words: string[]) => client(sentinel.url).call('SENTINEL', ...words);
    await tell('MONITOR', 'mymaster', '127.0.0.1', String(one.port), '1');
    const sentinels = [{ host: '127.0.0.1', port: sentinel.port }];
    const store = open({ options: { sentinels, name: 'mymaster' } });
    await stores(store);
    await hasKeys(client(one.url), ['llm-cache:entry:openai:u:a']);
    await one.kill();
    await tell('REMOVE', 'mymaster');
    await tell('MONITOR', 'mymaster', '127.0.0.1', String(two.port), '1');
    await eventually(
      async () => {
        await store.set('openai:u:a', entry()).catch(() => {});
        return (await client(two.url).dbsize()) === 1;
      },
      'the new master is used',
      10_000,
    );
  });

  it('The redis settings can name a cluster, which is purged as a whole and heard as a whole', async () => {
    const nodes = [await clusterNode(), await clusterNode()];
    const [one, two] = nodes.map(({ url }) => client(url)) as [Redis, Redis];
    await one.call('CLUSTER', 'ADDSLOTSRANGE', '0', '8191');
    await two.call('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383');
    await one.call('CLUSTER', 'MEET', '127.0.0.1', String(nodes[1]?.port));
    for (const node of [one, two]) {
      await eventually(
        async () => {
          const info = String(await node.call('CLUSTER', 'INFO'));
          return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:2');
        },
        'the cluster is up',
        10_000,
      );
    }
    const cluster = nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
    const settings = {
      shared: { type: 'redis', timeoutMs: 1000, options: { cluster } },
      near: { type: 'tiered', far: 'shared' },
    };
    const gateway = () => {
      const registry = new StoreRegistry();
      registry.configure(readSettings({ settings: { stores: settings } }).stores, {
        gatewayRedis: {},
        secret: 'of both gateways',
        log,
      });
      const [far, near] = [registry.open('shared'), registry.open('near')];
      opened.push(
        () => near.close(),
        () => far.close(),
      );
      return { far, near, nearEntries: () => near.stats().entries };
    };
    const [here, there] = [gateway(), gateway()];
    await stores(here.far);
    const keys = Array.from({ length: 40 }, (_, index) => `openai:u:${index}`);
    for (const key of keys) await here.near.set(key, entry());
    const stored = async () =>
      (await one.keys('*entry:*')).length + (await two.keys('*entry:*')).length;
    await eventually(async () => (await stored()) === 41, 'all are stored');
    expect(await one.dbsize()).to.be.within(5, 35);
    await eventually(async () => {
      for (const key of keys) await there.near.get(key);
      return there.nearEntries() === 40;
    }, 'all are near');
    expect(await here.far.purge({ namespace: 'openai' })).to.equal(41);
    expect(await stored()).to.equal(0);
    await eventually(() => there.nearEntries() === 0, 'the purge is heard');
  });

  async function clusterNode(): Promise<RedisServer> {
    return start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1');
  }

  describe('Refusals', () => {
    const wrong: readonly (readonly [object, string])[] = [
      [{}, '.url" is missing, and the gateway\'s own db.redis is emulated'],
      [
        { url: 'localhost' },
        '.url" must begin with redis:// or rediss://, or be the path of a socket',
      ],
      [{ url: 'http://u:SECRET@h' }, '.url" must begin with redis://'],
      [{ url: 'redis://h', options: { keyPrefix: 'a' } }, '.options.keyPrefix" must not be set'],
      [
        { url: 'redis://h', encryptionKeys: ['SECRET'] },
        '.encryptionKeys.0" must be a key of 32 bytes in base64',
      ],
      [{ url: 'redis://h', encryptionKeys: [newKey(), 'SECRET'] }, '.encryptionKeys.1" must'],
      [{ url: 'redis://h', timeoutMs: 0 }, '.timeoutMs" must be at least 1, got 0'],
      [
        { url: 'redis://h', maxBytes: 1 },
        'unknown parameter "stores.shared.maxBytes", expected one of type, url, keyPrefix, ',
      ],
    ];
    for (const [settings, message] of wrong) {
      it(`The redis settings are refused as ${JSON.stringify(settings).replace(/"[A-Za-z0-9+/]{43}="/, '"…"')}, without the secret`, () => {
        const make = () => open(settings);
        expect(make).to.throw(ConfigurationError, message);
        expect(make)
          .to.throw()
          .with.property('message')
          .that.not.matches(/SECRET/);
      });
    }
  });
});
