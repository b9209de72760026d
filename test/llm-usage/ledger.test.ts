import { keptLog } from '../support/sinks-records.ts';
import { MemoryLedger } from '../../policies/llm-usage/ledgers/memory.ts';
import { RedisLedger } from '../../policies/llm-usage/ledgers/redis.ts';
import { quietLog } from '../support/sinks-records.ts';
import { describeLedger, noon } from '../support/ledger-contract.ts';
import { ClockedConnection } from '../support/redis-clock.ts';
import { hasRedis, RedisServer } from '../support/redis-server.ts';

describeLedger('The memory ledger', (bounds) => {
  const clock = { now: noon };
  const now = () => clock.now;
  return { ledger: new MemoryLedger({ ...bounds, now, running: now }), clock };
});

describe('A real Redis', () => {
  let server: RedisServer;
  let connection: ClockedConnection;
  let redisClock = { now: noon };
  let opened = 0;

  before(async function () {
    if (!hasRedis()) return this.skip();
    server = await RedisServer.start();
    const subject = 'llm-usage: the ledger';
    const { url } = server;
    connection = new ClockedConnection(
      { subject, url, options: {}, timeoutMs: 1000, log: quietLog },
      {
        get now() {
          return redisClock.now;
        },
      },
    );
  });
  after(async () => {
    connection?.close();
    await server?.close();
  });

  describeLedger('The redis ledger', (bounds) => {
    const clock = { now: noon };
    const keyPrefix = `test ${opened++}:`;
    const now = () => clock.now;
    redisClock = clock;
    const clocks = { now, running: now };
    const log = keptLog();
    return { ledger: new RedisLedger({ ...bounds, ...clocks, connection, keyPrefix, log }), clock };
  });
});
