import { expect } from 'chai';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { describePerItem, embeddingsFor, questionIn } from '../../support/per-item-contract.ts';
import { gatewayConfig } from '../../support/pipelines.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { json, Upstream } from '../../support/upstream.ts';

const perItem = { 'llm-cache': { action: { perItem: true } } };
/** Between the two, so that the body has been offered before the cache replaces it. */
const limit = { 'rate-limit': { action: { max: 10_000, windowMs: 60_000, delayMs: 0 } } };

describe('The explanation of a list of inputs', () => {
  it('The explain route tells how many inputs of a list are stored', async () => {
    const upstream = await Upstream.start();
    const gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { api: [perItem] }),
    });
    try {
      upstream.answer((request, res) => json(embeddingsFor(questionIn(request)))(request, res));
      const explain = async (input: unknown, headers: object = {}) => {
        const path = '/api/v1/embeddings';
        const question = { apiEndpoint: 'api', path, headers, body: { model: 'm', input } };
        const answer = await fetch(`${gateway.adminUrl}/llm-cache/explain`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(question),
        });
        const { outcome, reason, rule } = (await answer.json()) as Record<string, unknown>;
        return [outcome, reason, rule];
      };
      const rule = (stored: number, all: number) =>
        `${stored} of ${all} inputs are stored, each under a key of its own`;
      const nothing = ['miss', null, 'nothing is stored under this key'];
      expect(await explain(['a', 'b'])).to.deep.equal(nothing);
      await post(`${gateway.url}/api/v1/embeddings`, { model: 'm', input: ['a', 'b'] });
      expect(await explain(['b', 'a'])).to.deep.equal(['hit', null, rule(2, 2)]);
      expect(await explain(['b', 'c', 'b'])).to.deep.equal(['miss', 'partial', rule(1, 2)]);
      expect(await explain('a')).to.deep.include.members(['hit', null]);
      const only = { 'cache-control': 'only-if-cached' };
      expect((await explain(['b', 'c'], only))[1]).to.equal('only-if-cached');
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
});

for (const [where, steps] of Object.entries({
  'The gateway': [{ 'llm-usage': {} }, perItem],
  'The gateway with a policy in between': [{ 'llm-usage': {} }, limit, perItem],
})) {
  describePerItem(where, async () => {
    const upstream = await Upstream.start();
    const gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: steps }) });
    return {
      upstream,
      ask: (body, headers) => post(`${gateway.url}/api/v1/embeddings`, body, { headers }),
      records: (model, count) => gateway.recorded(model, count),
      close: async () => {
        await gateway.stop();
        await upstream.close();
      },
    };
  });
}

if (hasRedis()) {
  describePerItem('The gateway with a redis store', async () => {
    const redis = await RedisServer.start();
    const upstream = await Upstream.start();
    const steps = [
      { 'llm-usage': {} },
      { 'llm-cache': { action: { perItem: true, store: 'shared' } } },
    ];
    const gateway = await Gateway.start({
      settings: { stores: { shared: { type: 'redis', url: redis.url, timeoutMs: 1000 } } },
      gateway: gatewayConfig(upstream.url, { api: steps }),
    });
    return {
      upstream,
      ask: (body, headers) => post(`${gateway.url}/api/v1/embeddings`, body, { headers }),
      records: (model, count) => gateway.recorded(model, count),
      close: async () => {
        await gateway.stop();
        await upstream.close();
        await redis.close();
      },
    };
  });
}
