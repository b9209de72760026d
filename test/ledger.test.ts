import { MemoryLedger } from '../policies/llm-usage/ledgers/memory.ts';
import { RedisLedger } from '../policies/llm-usage/ledgers/redis.ts';
import { RedisConnection } from '../policies/shared/redis/connection.ts';
import { quietLog } from './sinks-records.ts';
import { describeLedger, noon } from './support/ledger-contract.ts';
import { hasRedis, RedisServer } from './support/redis-server.ts';

describeLedger('the memory ledger', (bounds) => {
  const clock = { now: noon };
  return { ledger: new MemoryLedger({ ...bounds, now: () => clock.now }), clock };
});

describe('with a real Redis', () => {
  let server: RedisServer;
  let connection: RedisConnection;
  let opened = 0;

  before(async function () {
    if (!hasRedis()) return this.skip();
    server = await RedisServer.start();
    const subject = 'llm-usage: the ledger';
    const { url } = server;
    connection = new RedisConnection({
      subject,
      url,
      options: {},
      timeoutMs: 1000,
      log: quietLog,
    });
  });
  after(async () => {
    connection?.close();
    await server?.close();
  });

  describeLedger('the redis ledger', (bounds) => {
    const clock = { now: noon };
    const keyPrefix = `test ${opened++}:`;
    const now = () => clock.now;
    return { ledger: new RedisLedger({ ...bounds, connection, keyPrefix, now }), clock };
  });
});
