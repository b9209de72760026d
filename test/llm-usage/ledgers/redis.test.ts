import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { LedgerBounds } from '../../../policies/llm-usage/ledger.ts';
import { RedisLedger } from '../../../policies/llm-usage/ledgers/redis.ts';
import {
  RedisConnection,
  type RedisConnectionOptions,
  StoreUnavailable,
} from '../../../policies/shared/redis/connection.ts';
import { keptLog } from '../../support/sinks-records.ts';
import { eventually } from '../../support/eventually.ts';
import { ClockedConnection, onClock } from '../../support/redis-clock.ts';
import { noon, usage } from '../../support/ledger-contract.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';

type Command = Parameters<RedisConnection['run']>[0];

const noonClock = { now: noon };

/** Records the commands, and can lose their replies. */
class LossyConnection extends ClockedConnection {
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

describe('The redis ledger', () => {
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
    connection: RedisConnection = new ClockedConnection(connectionOptions({}), noonClock),
  ): RedisLedger {
    const now = () => noon;
    const clocks = { now, running: now };
    const all = {
      retentionDays: 90,
      maxGroups: 1000,
      keyPrefix: 'test:',
      log,
      ...clocks,
      ...bounds,
    };
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
  /** Waits for `count` requests in Redis. Asks another ledger, which sends none of the first one's. */
  const arrived = async (count: number) => {
    const other = open();
    await eventually(
      async () => (await requests(other).catch(() => -1)) === count,
      'all are counted',
    );
  };

  it('The redis ledger adds up what several gateways count', async () => {
    const [here, there] = [open(), open()];
    add(here, 3);
    add(there, 4);
    add(there, 1, 'claude');
    await there.flush();
    expect(await byModel(here)).to.deep.equal({ gpt: 7, claude: 1 });
    expect((await there.query({ groupBy: [] })).total).to.include({ billed_tokens: 8 * 16 });
  });

  it('The redis ledger sends without being flushed', async () => {
    add(open(), 2);
    await arrived(2);
  });

  it('The redis ledger loses nothing over a restart of the gateway', async () => {
    const before = open();
    add(before, 5);
    await before.close();
    const after = open();
    add(after, 2);
    expect(await requests(after)).to.equal(7);
    expect(log.lines).to.deep.equal([]);
  });

  it('The redis ledger goes on after it was closed', async () => {
    const ledger = open();
    add(ledger, 1);
    await ledger.close();
    add(ledger, 2);
    // The first use reconnects.
    await eventually(async () => (await requests(ledger)) === 3, 'it is connected');
    await ledger.close();
  });

  it('The redis ledger sends more groups than one call takes', async () => {
    const ledger = open({ maxGroups: 2000 });
    for (let n = 0; n < 1200; n++) {
      ledger.record(usage({ model: `model ${n}`, consumer_id: `consumer ${n % 20}` }));
    }
    await ledger.flush();
    const report = await open().query({ groupBy: ['model'] });
    expect(report.rows).to.have.length(1200);
    expect(report.total.requests).to.equal(1200);
  });

  it('The redis ledger keeps sums exact that no double holds', async () => {
    const ledger = open();
    const large = 9007.1992547409;
    for (let n = 0; n < 3; n++) ledger.record(usage({ total_cost: large }));
    ledger.record(usage({ total_cost: 1e-12 }));
    await ledger.flush();
    const day = await client.hgetall('test:{ledger}:day:2026-01-31');
    const pico = 3n * BigInt(Math.round(large * 1e12)) + 1n;
    expect(day['1:billed_usd']).to.equal(String(pico / 10n ** 12n));
    expect(day['1:billed_pico']).to.equal(String(pico % 10n ** 12n));
  });

  it('The redis ledger goes on beside a sum that is full', async () => {
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

  it('The redis ledger keeps its keys in one slot, a day longer than the days are reported', async () => {
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
    expect(await client.pttl(gateway)).to.be.within(167 * hour, 168 * hour);
  });

  it('The redis ledger works on a cluster', async () => {
    const announced = ['--cluster-announce-ip', '127.0.0.1'];
    const node = await RedisServer.start(['--cluster-enabled', 'yes', ...announced]);
    const admin = new Redis(node.url);
    try {
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      const isUp = async () =>
        String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok');
      await eventually(isUp, 'the cluster is up', 10_000);
      const cluster = [{ host: '127.0.0.1', port: node.port }];
      const ledger = open({}, new ClockedConnection(connectionOptions({ cluster }), noonClock));
      add(ledger, 3);
      await eventually(async () => (await requests(ledger).catch(() => -1)) === 3, 'it counts');
      await ledger.close();
    } finally {
      admin.disconnect();
      await node.close();
    }
  });

  it('The redis ledger carries cents over to dollars, whatever is stored already', async () => {
    const ledger = open();
    const cents = async (count: number) => {
      for (let n = 0; n < count; n++) {
        ledger.record(usage({ total_cost: 0.3 }));
        await ledger.flush();
      }
    };
    await cents(5);
    const key = 'test:{ledger}:day:2026-01-31';
    expect(await client.hmget(key, '1:billed_usd', '1:billed_pico')) //
      .to.deep.equal(['1', '500000000000']);
    // A sum from before whole dollars had their own field.
    await client.hset(key, '1:billed_pico', String(7_654_321n * 10n ** 12n));
    await cents(1);
    expect((await ledger.query({ groupBy: [] })).total.billed_cost).to.equal(7_654_322.3);
  });

  describe('Gateways with wrong clocks', () => {
    const dayMs = 86_400_000;
    const today = new Date().toISOString().slice(0, 10);

    /** Opens a ledger on Redis's real clock for a gateway whose own clock is off. */
    function gateway(daysOff: number, bounds: Partial<LedgerBounds> = {}): RedisLedger {
      const connection = new RedisConnection(connectionOptions({}));
      const all = { retentionDays: 90, maxGroups: 1000, keyPrefix: 'test:', log, ...bounds };
      const now = () => Date.now() + daysOff * dayMs;
      const ledger = new RedisLedger({ ...all, connection, now });
      opened.push(ledger);
      return ledger;
    }
    const byDay = async (ledger: RedisLedger) => {
      const { rows } = await ledger.query({ groupBy: ['day'] });
      return Object.fromEntries(rows.map((row) => [row.day, row.requests]));
    };

    for (const daysOff of [200, -200, 2, -2]) {
      it(`The redis ledger dates by Redis what a gateway ${daysOff} days off counts, and loses nothing`, async () => {
        const [right, wrong] = [gateway(0), gateway(daysOff)];
        add(right, 3);
        await right.flush();
        const before = new Date(Date.now() - 5 * dayMs).toISOString().slice(0, 10);
        await client.hset('test:{ledger}:days', before, 1);
        await client.hset(`test:{ledger}:day:${before}`, { groups: 1, '0:requests': 4 });
        add(wrong, 2);
        await wrong.flush();
        expect(await byDay(right)).to.deep.equal({ [before]: 4, [today]: 5 });
        expect(await byDay(wrong)).to.deep.equal({ [before]: 4, [today]: 5 });
        expect(wrong.stats().failures).to.equal(0);
        expect(await client.pttl(`test:{ledger}:day:${today}`)).to.be.within(
          90 * dayMs,
          91 * dayMs,
        );
      });
    }

    it("The redis ledger reports by Redis's days to a gateway that has counted nothing", async () => {
      add(gateway(0), 3);
      await opened.at(-1)?.flush();
      expect(await byDay(gateway(200))).to.deep.equal({ [today]: 3 });
    });

    it('The redis ledger dates a request by its arrival, though Redis was away for a day', async () => {
      let running = 0;
      const clock = { now: noon };
      const connection = new ClockedConnection(connectionOptions({}), clock);
      const bounds = { retentionDays: 90, maxGroups: 1000, keyPrefix: 'test:', log };
      const now = () => noon + 200 * dayMs;
      const ledger = new RedisLedger({ ...bounds, connection, now, running: () => running });
      opened.push(ledger);
      ledger.record(usage({ duration_ms: 13 * 3_600_000 }));
      await server.kill();
      ledger.record(usage());
      await ledger.flush();
      running += dayMs;
      clock.now += dayMs;
      ledger.record(usage());
      await server.run();
      await eventually(async () => {
        const rows = await byDay(ledger).catch(() => ({}));
        return Object.keys(rows).length === 3;
      }, 'all are counted');
      const expected = { '2026-01-30': 1, '2026-01-31': 1, '2026-02-01': 1 };
      expect(await byDay(ledger)).to.deep.equal(expected);
    });

    it('The redis ledger counts once what a wrong clock and a late answer made it send again', async () => {
      const ledger = gateway(200);
      server.freeze();
      add(ledger, 3);
      await ledger.flush();
      server.thaw();
      await eventually(
        async () => (await byDay(ledger).catch(() => ({}) as never))[today] === 3,
        'ok',
      );
    });
  });

  describe('Foreign values in Redis', () => {
    const day = 'test:{ledger}:day:2026-01-31';

    it('The redis ledger counts over foreign keys that are not hashes', async () => {
      await client.set('test:{ledger}:days', 'nonsense');
      await client.lpush(day, 'nonsense');
      const ledger = open();
      expect(await requests(ledger)).to.equal(0);
      add(ledger, 2);
      expect(await requests(ledger)).to.equal(2);
      expect(ledger.stats().failures).to.equal(0);
    });

    it('The redis ledger reports nothing for a day that is not a hash', async () => {
      const ledger = open();
      add(ledger, 2);
      await ledger.flush();
      await client.set(day, 'nonsense');
      expect(await requests(ledger)).to.equal(0);
    });

    it('The redis ledger counts beside foreign fields, groups and days', async () => {
      const ledger = open();
      add(ledger, 2);
      await ledger.flush();
      await client.hset(day, {
        groups: 'many',
        '1:billed_tokens': 'x',
        '1:saved_tokens': '-3',
        'group:nonsense': '7',
        '7:requests': '5',
        'group:["a"]': '8',
        '8:requests': '1',
        nonsense: 'nonsense',
      });
      await client.hset('test:{ledger}:days', 'nonsense', 'x');
      const gateway = (await client.keys('*from:*'))[0] ?? '';
      await client.hset(gateway, 'sequence', 'x');
      add(ledger, 1);
      add(ledger, 1, 'claude');
      expect(await byModel(ledger)).to.deep.equal({ gpt: 3, claude: 1, other: 6 });
      const { total } = await ledger.query({ groupBy: [] });
      expect(total).to.include({ requests: 10, billed_tokens: 32, saved_tokens: 0 });
      expect(ledger.stats().failures).to.equal(0);
    });

    it('The redis ledger does not count the groups of a day in the future', async () => {
      await client.hset('test:{ledger}:days', '2099-01-01', '1000000');
      const ledger = open();
      add(ledger, 1);
      expect(await byModel(ledger)).to.deep.equal({ gpt: 1 });
    });
  });

  describe('Lost answers', () => {
    it('The redis ledger counts each request once though answers are lost', async () => {
      const connection = new LossyConnection(connectionOptions({}), noonClock);
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

    it('The redis ledger counts nothing when a copy of an old call arrives late', async () => {
      const connection = new LossyConnection(connectionOptions({}), noonClock);
      const ledger = open({}, connection);
      add(ledger, 3);
      await ledger.flush();
      const [old] = connection.commands;
      add(ledger, 2);
      await ledger.flush();
      await old?.(onClock(client, noonClock));
      expect(await requests(ledger)).to.equal(5);
    });
  });

  describe('A frozen Redis', () => {
    it('The redis ledger counts each request once after Redis was frozen', async () => {
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

    it('The redis ledger stays within its groups while Redis is frozen', async () => {
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

  describe('A killed Redis', () => {
    it('The redis ledger counts what came while Redis was down once it is up again, empty', async () => {
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

    it('The redis ledger logs once that it fails, and once at its end how many requests it could not count', async () => {
      const ledger = open();
      await server.kill();
      add(ledger, 3);
      await ledger.flush();
      add(ledger, 2);
      await ledger.close();
      ledger.flushSync();
      const [begun, ...ended] = log.lines;
      expect(begun).to.match(
        /^error llm-usage: cannot add to the ledger in Redis \(.+\); records wait for a retry$/,
      );
      expect(ended).to.deep.equal([
        'error llm-usage: 5 requests are missing from the ledger in Redis at exit',
      ]);
    });

    it('The redis ledger closes though the logger throws', async () => {
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

  describe('A refusing Redis', () => {
    const refusals: readonly (readonly [string, readonly string[], readonly string[]])[] = [
      ['memory', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
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
      it(`The redis ledger counts each request once after Redis refused ${what}`, async () => {
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

  it('The redis ledger keeps what waits while Redis tells a time that no clock shows', async () => {
    let reply: unknown = null;
    class OddConnection extends ClockedConnection {
      override async run<T>(
        command: (client: Parameters<Command>[0]) => Promise<T>,
        timeoutMs?: number,
      ): Promise<T> {
        return reply === null ? super.run(command, timeoutMs) : (reply as T);
      }
    }
    const ledger = open({}, new OddConnection(connectionOptions({}), noonClock));
    for (const time of ['soon', null, NaN, -1, 1e300, {}]) {
      reply = [0, time];
      add(ledger, 1);
      await ledger.flush();
    }
    expect(ledger.stats().failures).to.equal(6);
    reply = null;
    expect(await requests(ledger)).to.equal(6);
  });

  describe('The limit of groups', () => {
    it('The redis ledger sums what would open a group too many in the group "other"', async () => {
      const [here, there] = [open({ maxGroups: 3 }), open({ maxGroups: 3 })];
      for (const model of ['a', 'b']) add(here, 1, model);
      await here.flush();
      for (const model of ['b', 'c', 'd']) add(there, 1, model);
      await there.flush();
      add(here, 1, 'e');
      add(here, 1, 'c');
      expect(await byModel(here)).to.deep.equal({ a: 1, b: 2, c: 2, other: 2 });
    });

    it('The redis ledger limits the groups of all days together', async () => {
      const ledger = open({ maxGroups: 2, retentionDays: 2 });
      for (const hoursAgo of [13, 0, 0]) {
        const came = { duration_ms: hoursAgo * 3_600_000 };
        ledger.record(usage({ ...came, model: 'a' }));
        ledger.record(usage({ ...came, model: 'b' }));
        await ledger.flush();
      }
      expect(await byModel(ledger)).to.deep.equal({ a: 1, b: 1, other: 4 });
    });

    it('The redis ledger leaves half of the groups of all gateways to billed requests', async () => {
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
