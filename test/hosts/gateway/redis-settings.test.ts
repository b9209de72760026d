import { expect } from 'chai';
import { checkStores } from '../../../policies/hosts/store-checks.ts';
import { redisOfGateway } from '../../../policies/hosts/gateway-redis.ts';
import type { PluginSettings } from '../../../schemas/plugin.ts';
import { pluginSchema } from '../../../schemas/plugin.ts';
import { ConfigurationError, validate } from '../../../schemas/validate.ts';

const settings = (stores: object) => validate<PluginSettings>(pluginSchema, { stores }, 'test');

describe('A redis store without a url', () => {
  const stores = settings({ shared: { type: 'redis' } });

  it("A redis store without a url connects to the gateway's own Redis", () => {
    const redis = {
      emulate: false,
      namespace: 'EG',
      host: 'redis.internal',
      port: 7000,
      password: 'p',
    };
    expect(() => checkStores(stores, { db: { redis } })).to.not.throw();
    expect(redisOfGateway({ db: { redis } })).to.deep.equal({
      host: 'redis.internal',
      port: 7000,
      password: 'p',
    });
  });

  it("A redis store without a url is refused where the gateway's own Redis is emulated", () => {
    expect(() => checkStores(stores, { db: { redis: { emulate: true } } })).to.throw(
      ConfigurationError,
      '"stores.shared.url" is missing, and the gateway\'s own db.redis is emulated',
    );
  });

  it('A redis store with a url is accepted, whatever Redis the gateway has', () => {
    const own = settings({ shared: { type: 'redis', url: 'redis://127.0.0.1' } });
    expect(() => checkStores(own, { db: { redis: { emulate: true } } })).to.not.throw();
  });
});
