import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import type { Figures } from '../../../policies/llm-usage/ledger.ts';
import type { UsageRecord } from '../../../policies/llm-usage/usage-record.ts';
import { admin, expectError } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { json, Upstream } from '../../support/upstream.ts';

const pipelines = ['memory', 'shared', 'near'] as const;

describe('Gateways that share one Redis', () => {
  let redis: RedisServer;
  let upstream: Upstream;
  let dir: string;
  let gateways: Gateway[] = [];
  let started = 0;
  before(async function () {
    if (!hasRedis()) return this.skip();
    redis = await RedisServer.start();
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
    dir = mkdtempSync(join(tmpdir(), 'llm-cache-books-'));
    gateways = await Promise.all([start(), start()]);
  });
  after(async () => {
    for (const gateway of gateways) await gateway.stop();
    await upstream?.close();
    await redis?.close();
    if (dir !== undefined) rmSync(dir, { recursive: true });
  });

  /** With the settings of the reference, and the ledger where all see it. */
  const start = () =>
    Gateway.start({
      settings: {
        scopeSecret: 'the same on all',
        limits: { bufferedBytes: 268435456 },
        stores: {
          memory: { type: 'memory', maxBytes: 268435456 },
          shared: {
            type: 'redis',
            url: redis.url,
            keyPrefix: 'llm-cache:',
            timeoutMs: 100,
            encryptionKeys: [],
            options: {},
          },
          near: { type: 'tiered', near: 'memory', far: 'shared', nearTtl: 30 },
        },
        usage: {
          ledger: { store: 'near', retentionDays: 90, maxGroups: 10000 },
          sinks: [
            { type: 'log' },
            { type: 'jsonl', path: join(dir, `usage-${++started}.jsonl`) },
            { type: 'prometheus' },
            { type: 'redis', stream: 'usage-of-all', maxLength: 1000 },
          ],
          prices: { 'gpt-4o': { input: 2.5, cachedInput: 1.25, output: 10 } },
        },
      },
      gateway: gatewayConfig(
        upstream.url,
        Object.fromEntries(pipelines.map((store) => [store, both({ store })])),
      ),
    });

  const gateway = (index: number): Gateway => {
    const one = gateways[index];
    if (one === undefined) throw new Error('there is no such gateway');
    return one;
  };
  const ask = (index: number, pipeline: string, content: string) =>
    post(`${gateway(index).url}/${pipeline}/v1/chat/completions`, {
      model: 'gpt-4o',
      messages: [{ role: 'user', content }],
    });
  const totalAt = async (index: number) =>
    (await admin(gateway(index), '/usage')).json['total'] as Figures;

  it('Gateways with one Redis ledger add up across a restart, and agree with files and stream', async () => {
    for (const content of ['one', 'two', 'one']) await ask(0, 'shared', content);
    for (const content of ['one', 'three', 'three']) await ask(1, 'near', content);
    await gateway(0).stop();
    gateways[0] = await start();
    await ask(0, 'memory', 'four');
    await eventually(async () => (await totalAt(1)).requests === 7, 'seven requests in the books');

    const records = [1, 2, 3]
      .flatMap((at) =>
        readFileSync(join(dir, `usage-${at}.jsonl`), 'utf8')
          .trimEnd()
          .split('\n'),
      )
      .map((line) => JSON.parse(line) as UsageRecord);
    expect(records.length).to.equal(7);
    const sum = (of: (record: UsageRecord) => number | null) =>
      records.reduce((all, one) => all + (of(one) ?? 0), 0);
    const billed = (one: UsageRecord) => (one.billed ? one.total_tokens : 0);
    const saved = (one: UsageRecord) => (one.cache_type === null ? 0 : one.total_tokens);
    for (const index of [0, 1]) {
      const total = await totalAt(index);
      expect(total.billed_tokens).to.equal(sum(billed));
      expect(total.saved_tokens).to.equal(sum(saved));
      expect((total.billed_cost ?? 0) + (total.saved_cost ?? 0)).to.be.closeTo(
        sum((one) => one.total_cost),
        1e-12,
      );
    }

    const client = new Redis(redis.url);
    const inStream = async () =>
      (await client.xrange('usage-of-all', '-', '+')).map(
        ([, [, text = '']]) => JSON.parse(text) as UsageRecord,
      );
    await eventually(async () => (await inStream()).length >= 7, 'seven records in the stream');
    const ids = new Set((await inStream()).map(({ id }) => id));
    expect([...ids].toSorted()).to.deep.equal(records.map(({ id }) => id).toSorted());
    client.disconnect();
  });

  for (const pipeline of ['shared', 'near']) {
    it(`Gateways that share the ${pipeline} store purge an entry for all when one purges it`, async () => {
      const content = `thrown out of ${pipeline}`;
      await ask(0, pipeline, content);
      const isHit = async (index: number) =>
        (await ask(index, pipeline, content)).headers['x-cache'] === 'HIT (exact)';
      for (const index of [0, 1]) await eventually(() => isHit(index), 'a hit on both');
      const page = await admin(gateway(1), `/entries?namespace=${pipeline}`);
      const entries = page.json['entries'] as { store: string; hits: number }[];
      expect(entries.length).to.be.above(0);
      for (const { store } of entries) expect(store).to.equal('shared');
      expect(entries.reduce((sum, { hits }) => sum + hits, 0)).to.be.above(0);

      const purged = await admin(gateway(0), `/entries?namespace=${pipeline}`, {
        method: 'DELETE',
      });
      expect(purged.json).to.deep.equal({ matched: entries.length, deleted: entries.length });
      const at = upstream.requests.length;
      await eventually(async () => !(await isHit(1)), 'no hit on the other');
      expect(upstream.requests.length).to.be.above(at);
    });
  }

  it('The admin API answers 503 while Redis is silent, and works again when it is back', async () => {
    redis.freeze();
    const [entries, purge, usage] = await Promise.all([
      admin(gateway(0), '/entries?store=shared'),
      admin(gateway(0), '/entries?all=1', { method: 'DELETE' }),
      admin(gateway(0), '/usage'),
    ]);
    for (const reply of [entries, purge, usage]) expectError(reply, 503, 'does not answer');
    expect((await ask(0, 'shared', 'meanwhile')).status).to.equal(200);
    const stores = async () =>
      (await admin(gateway(0), '/stats')).json['stores'] as Record<string, { healthy: boolean }>;
    await eventually(async () => {
      await ask(0, 'shared', 'meanwhile');
      return (await stores())['shared']?.healthy === false;
    }, 'the store is not healthy');
    expect((await stores())['memory']?.healthy).to.equal(true);
    const { text } = await admin(gateway(0), '/metrics');
    expect(text).to.match(/^llm_cache_store_breaker_open\{store="shared"\} 1$/m);
    redis.thaw();
    await eventually(
      async () => (await admin(gateway(0), '/usage')).status === 200,
      'the ledger answers again',
      10_000,
    );
    await eventually(async () => (await stores())['shared']?.healthy === true, 'healthy again');
  });
});
