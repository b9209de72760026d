import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { LedgerBounds } from '../policies/llm-usage/ledger.ts';
import { RedisLedger } from '../policies/llm-usage/ledgers/redis.ts';
import {
  RedisConnection,
  type RedisConnectionOptions,
  StoreUnavailable,
} from '../policies/shared/redis/connection.ts';
import { keptLog } from './sinks-records.ts';
import { eventually } from './support/eventually.ts';
import { noon, usage } from './support/ledger-contract.ts';
import { hasRedis, RedisServer } from './support/redis-server.ts';

type Command = Parameters<RedisConnection['run']>[0];

/** Loses answers on their way, and keeps the commands. */
class LossyConnection extends RedisConnection {
  losing = false;
  readonly commands: Command[] = [];

  override async run<T>(
    command: (client: Parameters<Command>[0]) => Promise<T>,
    timeoutMs?: number,
  ): Promise<T> {
    this.commands.push(command);
    const result = await super.run(command, timeoutMs);
    if (this.losing) throw new StoreUnavailable('the answer was lost');
    return result;
  }
}

describe('the redis ledger, which gateways share,', () => {
  let server: RedisServer;
  let opened: RedisLedger[];
  let log: ReturnType<typeof keptLog>;
  let client: Redis;

  before(function () {
    if (!hasRedis()) this.skip();
  });
  beforeEach(async () => {
    opened = [];
    log = keptLog();
    server = await RedisServer.start();
    client = new Redis(server.url);
    client.on('error', () => {});
  });
  afterEach(async () => {
    server?.thaw();
    client?.disconnect();
    for (const ledger of opened ?? []) await ledger.close();
    await server?.close();
  });

  function connectionOptions(options: Readonly<Record<string, unknown>>): RedisConnectionOptions {
    const subject = 'llm-usage: the ledger';
    return { subject, url: server.url, options, timeoutMs: 1000, log: keptLog() };
  }

  function open(
    bounds: Partial<LedgerBounds> = {},
    connection = new RedisConnection(connectionOptions({})),
  ): RedisLedger {
    const now = () => noon;
    const all = { retentionDays: 90, maxGroups: 1000, keyPrefix: 'test:', log, now, ...bounds };
    const ledger = new RedisLedger({ ...all, connection });
    opened.push(ledger);
    return ledger;
  }

  function add(ledger: RedisLedger, count: number, model = 'gpt'): void {
    for (let n = 0; n < count; n++) ledger.record(usage({ model }));
  }

  const requests = async (ledger: RedisLedger) =>
    (await ledger.query({ groupBy: [] })).total.requests;
  const byModel = async (ledger: RedisLedger) => {
    const { rows } = await ledger.query({ groupBy: ['model'] });
    return Object.fromEntries(rows.map((row) => [row.model, row.requests]));
  };
  /** By another gateway, which does not send what the first one has. */
  const arrived = async (count: number) => {
    const other = open();
    await eventually(
      async () => (await requests(other).catch(() => -1)) === count,
      'all are counted',
    );
  };

  it('adds up what several of them count', async () => {
    const [here, there] = [open(), open()];
    add(here, 3);
    add(there, 4);
    add(there, 1, 'claude');
    await there.flush();
    expect(await byModel(here)).to.deep.equal({ gpt: 7, claude: 1 });
    expect((await there.query({ groupBy: [] })).total).to.include({ billed_tokens: 8 * 16 });
  });

  it('sends without being flushed', async () => {
    add(open(), 2);
    await arrived(2);
  });

  it('loses nothing over a restart of the gateway', async () => {
    const before = open();
    add(before, 5);
    await before.close();
    const after = open();
    add(after, 2);
    expect(await requests(after)).to.equal(7);
    expect(log.lines).to.deep.equal([]);
  });

  it('goes on after it was closed', async () => {
    const ledger = open();
    add(ledger, 1);
    await ledger.close();
    add(ledger, 2);
    // The first use connects anew.
    await eventually(async () => (await requests(ledger)) === 3, 'it is connected');
    await ledger.close();
  });

  it('sends more groups than one call takes', async () => {
    const ledger = open({ maxGroups: 2000 });
    for (let n = 0; n < 1200; n++) add(ledger, 1, `model ${n}`);
    await ledger.flush();
    const report = await open().query({ groupBy: ['model'] });
    expect(report.rows).to.have.length(1200);
    expect(report.total.requests).to.equal(1200);
  });

  it('keeps sums exact that no number holds', async () => {
    const ledger = open();
    const large = 9007.1992547409;
    for (let n = 0; n < 3; n++) ledger.record(usage({ total_cost: large }));
    ledger.record(usage({ total_cost: 1e-12 }));
    await ledger.flush();
    const sum = await client.hget('test:{ledger}:day:2026-01-31', '1:billed_pico');
    expect(sum).to.equal(String(3n * BigInt(Math.round(large * 1e12)) + 1n));
  });

  it('goes on beside a sum that is full', async () => {
    const ledger = open();
    add(ledger, 1);
    await ledger.flush();
    await client.hset('test:{ledger}:day:2026-01-31', '1:billed_tokens', String(2n ** 63n - 1n));
    add(ledger, 1);
    expect((await ledger.query({ groupBy: [] })).total).to.include({
      requests: 2,
      billed_requests: 2,
      unpriced_requests: 2,
    });
  });

  it('keeps its keys in one slot, for a day longer than the days are reported', async () => {
    const ledger = open({ retentionDays: 2 });
    add(ledger, 1);
    await ledger.flush();
    const keys = await client.keys('*');
    expect(keys).to.have.length(3);
    for (const key of keys) expect(key).to.match(/^test:\{ledger\}:/);
    const hour = 3_600_000;
    expect(await client.pttl('test:{ledger}:day:2026-01-31')).to.be.within(59 * hour, 60 * hour);
    expect(await client.pttl('test:{ledger}:days')).to.be.within(71 * hour, 72 * hour);
    const gateway = keys.find((key) => key.includes('from:')) ?? '';
    expect(await client.pttl(gateway)).to.be.within(23 * hour, 24 * hour);
  });

  it('works on a cluster', async () => {
    const announced = ['--cluster-announce-ip', '127.0.0.1'];
    const node = await RedisServer.start(['--cluster-enabled', 'yes', ...announced]);
    const admin = new Redis(node.url);
    try {
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      const isUp = async () =>
        String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok');
      await eventually(isUp, 'the cluster is up', 10_000);
      const cluster = [{ host: '127.0.0.1', port: node.port }];
      const ledger = open({}, new RedisConnection(connectionOptions({ cluster })));
      add(ledger, 3);
      await eventually(async () => (await requests(ledger).catch(() => -1)) === 3, 'it counts');
      await ledger.close();
    } finally {
      admin.disconnect();
      await node.close();
    }
  });

  describe('with answers that are lost', () => {
    it('counts each request once, and what came meanwhile as well', async () => {
      const connection = new LossyConnection(connectionOptions({}));
      const ledger = open({}, connection);
      connection.losing = true;
      add(ledger, 3);
      await ledger.flush();
      add(ledger, 2);
      await ledger.flush();
      expect(ledger.stats()).to.deep.equal({ dropped: 0, failures: 2 });
      connection.losing = false;
      expect(await requests(ledger)).to.equal(5);
      expect(await requests(open())).to.equal(5);
    });

    it('counts nothing by a copy of an old call that arrives late', async () => {
      const connection = new LossyConnection(connectionOptions({}));
      const ledger = open({}, connection);
      add(ledger, 3);
      await ledger.flush();
      const [old] = connection.commands;
      add(ledger, 2);
      await ledger.flush();
      await old?.(client);
      expect(await requests(ledger)).to.equal(5);
    });
  });

  describe('with a frozen Redis', () => {
    it('counts each request once when it goes on', async () => {
      const ledger = open();
      add(ledger, 1);
      await ledger.flush();
      server.freeze();
      for (let n = 0; n < 3; n++) {
        add(ledger, 10);
        await ledger.flush();
      }
      expect(ledger.stats()).to.deep.equal({ dropped: 0, failures: 3 });
      const refused = await ledger.query({ groupBy: [] }).catch((error: unknown) => error);
      expect(refused).to.be.instanceOf(StoreUnavailable);
      server.thaw();
      await arrived(31);
      add(ledger, 1);
      await arrived(32);
    });

    it('stays within its groups', async () => {
      const ledger = open({ maxGroups: 10 });
      server.freeze();
      for (let n = 0; n < 100; n++) add(ledger, 1, `model ${n}`);
      server.thaw();
      await eventually(async () => {
        const counts = await byModel(ledger).catch(() => ({}));
        return (counts as Record<string, number>)['other'] === 90;
      }, 'all are counted');
    });
  });

  describe('with a Redis that was killed', () => {
    it('counts what came meanwhile when it is there again, empty', async () => {
      const ledger = open();
      add(ledger, 2, 'a');
      await ledger.flush();
      await server.kill();
      add(ledger, 3, 'b');
      await ledger.flush();
      expect(ledger.stats().failures).to.equal(1);
      await server.run();
      await eventually(
        async () => (await byModel(open()).catch(() => ({}) as never))['b'] === 3,
        'it counts again',
      );
      add(ledger, 1, 'a');
      expect(await byModel(ledger)).to.deep.equal({ a: 1, b: 3 });
    });

    it('says once at the end how many requests it could not count', async () => {
      const ledger = open();
      await server.kill();
      add(ledger, 3);
      await ledger.flush();
      add(ledger, 2);
      await ledger.close();
      ledger.flushSync();
      expect(log.lines).to.deep.equal([
        'error llm-usage: at the end 5 requests are not in the ledger in Redis',
      ]);
    });

    it('ends with a logger that throws', async () => {
      const ledger = open();
      await server.kill();
      add(ledger, 1);
      log.error = () => {
        throw new Error('the transport is closed');
      };
      await ledger.close();
      ledger.flushSync();
    });
  });

  describe('with a Redis that refuses', () => {
    const refusals: readonly (readonly [string, readonly string[], readonly string[]])[] = [
      ['being full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
      ...['pexpire', 'hset', 'hincrby', 'hget', 'hgetall'].map(
        (command) =>
          [
            command,
            ['ACL', 'SETUSER', 'default', `-${command}`],
            ['ACL', 'SETUSER', 'default', `+${command}`],
          ] as const,
      ),
    ];
    for (const [what, [begin = '', ...with_], [end = '', ...without]] of refusals) {
      it(`counts each request once when it takes them again: ${what}`, async () => {
        const ledger = open();
        add(ledger, 1);
        await ledger.flush();
        await client.call(begin, ...with_);
        add(ledger, 2);
        await ledger.flush();
        await ledger.flush();
        expect(ledger.stats().failures).to.equal(2);
        await client.call(end, ...without);
        expect(await requests(ledger)).to.equal(3);
      });
    }
  });

  describe('past the groups of all gateways together', () => {
    it('sums in the other group what opens one too many', async () => {
      const [here, there] = [open({ maxGroups: 3 }), open({ maxGroups: 3 })];
      for (const model of ['a', 'b']) add(here, 1, model);
      await here.flush();
      for (const model of ['b', 'c', 'd']) add(there, 1, model);
      await there.flush();
      add(here, 1, 'e');
      add(here, 1, 'c');
      expect(await byModel(here)).to.deep.equal({ a: 1, b: 2, c: 2, other: 2 });
    });

    it('counts the groups of every day that is kept', async () => {
      const ledger = open({ maxGroups: 2, retentionDays: 2 });
      for (const day of ['2026-01-30', '2026-01-31', '2026-01-31']) {
        ledger.record(usage({ timestamp: `${day}T00:00:00.000Z`, model: 'a' }));
        ledger.record(usage({ timestamp: `${day}T00:00:00.000Z`, model: 'b' }));
        await ledger.flush();
      }
      expect(await byModel(ledger)).to.deep.equal({ a: 1, b: 1, other: 4 });
    });

    it('leaves half of them to requests that cost something', async () => {
      const [here, there] = [open({ maxGroups: 4 }), open({ maxGroups: 4 })];
      add(here, 1, 'a');
      await here.flush();
      for (const model of ['b', 'c', 'a']) {
        there.record(usage({ model, billed: false }));
        await there.flush();
      }
      for (const model of ['d', 'e', 'f']) add(here, 1, model);
      expect(await byModel(here)).to.deep.equal({ a: 2, b: 1, d: 1, e: 1, other: 2 });
    });
  });
});
