import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { describeCompressedHits, longChat } from '../../support/compressed-hits-contract.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

async function start(
  store: string,
  stores: object = {},
  also: () => Promise<void> = async () => {},
) {
  const upstream = await Upstream.start();
  const gateway = await Gateway.start({
    settings: { stores },
    gateway: gatewayConfig(upstream.url, {
      auto: both({ store }),
      off: both({ store, compressHits: 'off' }),
    }),
  });
  return {
    upstream,
    urls: { auto: `${gateway.url}/auto`, off: `${gateway.url}/off` },
    records: (model: string, count: number) => gateway.recorded(model, count),
    close: async () => {
      await gateway.stop();
      await upstream.close();
      await also();
    },
  };
}

describeCompressedHits('through the gateway', () => start('memory'));

if (hasRedis()) {
  const withRedis = async (store: string) => {
    const redis = await RedisServer.start();
    const stores = {
      shared: { type: 'redis', url: redis.url, timeoutMs: 1000 },
      near: { type: 'tiered', near: 'memory', far: 'shared' },
    };
    return start(store, stores, () => redis.close());
  };
  describeCompressedHits('through the gateway, in Redis', () => withRedis('shared'));
  describeCompressedHits('through the gateway, in a tiered store', () => withRedis('near'));
}

describe('Expired answers that are stored compressed', () => {
  it('An expired answer stands in for a failing upstream as it is stored, for a client that accepts gzip', async () => {
    const upstream = await Upstream.start();
    const gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { api: both({ ttl: 10, staleIfError: 1000 }) }),
    });
    try {
      upstream.answer(sse(longChat));
      const ask = (accepted: string) =>
        post(
          `${gateway.url}/api/v1/chat/completions`,
          { model: 'gpt-4o', stream: true },
          { headers: { 'accept-encoding': accepted } },
        );
      await ask('gzip');
      await eventually(
        async () => (await ask('gzip')).headers['content-encoding'] === 'gzip',
        'it is sent compressed',
      );
      await gateway.pass(20_000);
      upstream.answer(json('{"error":{"message":"no"}}', { vary: 'Origin' }, 503));
      const stale = await ask('gzip');
      expect(stale.headers).to.include({
        'x-cache': 'HIT (stale)',
        'content-encoding': 'gzip',
        vary: 'Accept-Encoding',
      });
      expect(gunzipSync(stale.body).toString() === longChat).to.equal(true);
      const plain = await ask('identity');
      expect(plain.headers).to.include({ 'x-cache': 'HIT (stale)', vary: 'Accept-Encoding' });
      expect([plain.status, plain.text === longChat]).to.deep.equal([200, true]);
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
});
