import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

const nowhere = 'http://127.0.0.1:1';

describe('A wrong configuration of the gateway', () => {
  const wrong: [what: string, settings: object, policies: object[], message: string | RegExp][] = [
    [
      'an unknown parameter',
      {},
      both({ tll: 60 }),
      'pipeline "api", llm-cache: unknown parameter "tll", expected one of store, ttl,',
    ],
    [
      'a parameter of the wrong type',
      {},
      both({ ttl: 'long' }),
      'pipeline "api", llm-cache: "ttl" must be a whole number, got "long"',
    ],
    [
      'a parameter outside of action',
      {},
      [{ 'llm-cache': { scope: 'consumer' } }],
      'pipeline "api", llm-cache: "scope" stands beside action and condition, where it has no effect; parameters stand in action',
    ],
    ['a number out of range', {}, both({ ttl: 0 }), '"ttl" must be at least 1, got 0'],
    [
      'a value that is not allowed',
      {},
      both({ scope: 'tenant' }),
      '"scope" must be one of auto, consumer, credential, shared, got "tenant"',
    ],
    [
      'an unknown store',
      { stores: { small: { type: 'memory' } } },
      both({ store: 'smal' }),
      'llm-cache: "store" must be one of memory, small (the stores in system.config.yml), got "smal"',
    ],
    [
      'a wrong parameter of llm-usage',
      {},
      [{ 'llm-usage': { action: { provder: 'x' } } }],
      'pipeline "api", llm-usage: unknown parameter "provder", expected one of provider, maxRequestBytes, maxResponseBytes',
    ],
    [
      'a wrong step among right ones',
      {},
      [{ 'llm-cache': [{ action: {} }, { action: { ttl: 1.5 } }] }],
      '"ttl" must be a whole number, got 1.5',
    ],
    [
      'an unknown setting',
      { store: {} },
      both(),
      'plugins.llm-cache: unknown parameter "store", expected one of scopeSecret, limits, stores, usage, admin',
    ],
    [
      'an unknown kind of store',
      { stores: { s: { type: 'disk' } } },
      both(),
      '"stores.s.type" must be one of memory, redis, tiered, got "disk"',
    ],
    [
      'a wrong setting that no pipeline uses',
      { limits: { bufferedBytes: -1 } },
      [],
      '"limits.bufferedBytes" must be at least 1, got -1',
    ],
    [
      'a sink without its file',
      { usage: { sinks: [{ type: 'jsonl' }] } },
      both(),
      '"usage.sinks.0.path" is missing',
    ],
    [
      'a wrong condition',
      {},
      [{ 'llm-cache': { condition: { name: 'llm-request', protocols: ['chats'] } } }],
      'condition llm-request: "protocols.0" must be one of chat, completions, responses, embeddings, messages, gemini, gemini-embeddings, rerank, moderations, got "chats"',
    ],
    [
      'a wrong condition of another policy, deep inside',
      {},
      [{ terminate: { condition: { name: 'not', condition: { name: 'llm-no-cache', x: 1 } } } }],
      'terminate, condition llm-no-cache: unknown parameter "x"',
    ],
  ];
  for (const [what, settings, policies, message] of wrong) {
    it(`The gateway does not start with ${what}, and says what is wrong`, async () => {
      const { code, log } = await Gateway.failToStart({
        settings,
        gateway: gatewayConfig(nowhere, { api: policies }),
      });
      expect(log).to.contain(message);
      expect(code).to.equal(1);
    });
  }

  it('The gateway says what stops its start in one last sentence, without a stack', async () => {
    const { code, log } = await Gateway.failToStart({
      settings: {},
      gateway: gatewayConfig(nowhere, { api: both({ tll: 60 }) }),
    });
    expect(code).to.equal(1);
    const lines = log.trimEnd().split('\n');
    expect(lines.at(-1)).to.match(
      /^gateway\.config\.yml, pipeline "api", llm-cache: unknown parameter "tll", expected .*; did you mean "ttl"\?$/,
    );
    expect(lines.filter((line) => line.includes('tll'))).to.have.length(1);
    expect(log)
      .to.not.match(/^\s+at /m)
      .and.not.contain('node_modules');
  });

  it('The gateway does not start with an unset environment variable, and names it', async () => {
    const { code, log } = await Gateway.failToStart({
      settings: { stores: { shared: { type: 'redis', url: 'redis://${NO_REDIS_HOST}:6379' } } },
      gateway: gatewayConfig(nowhere, { api: both() }),
    });
    expect(code).to.equal(1);
    expect(log).to.contain('"stores.shared.url" contains the environment variable NO_REDIS_HOST');
  });

  it('The gateway does not start with a short key, says how to make one, and does not show it', async () => {
    const keys = { encryptionKeys: ['c2hvcnQ='] };
    const { code, log } = await Gateway.failToStart({
      settings: { stores: { shared: { type: 'redis', url: 'redis://127.0.0.1:1', ...keys } } },
      gateway: gatewayConfig(nowhere, { api: both() }),
    });
    expect(code).to.equal(1);
    expect(log).to.contain('openssl rand -base64 32').and.not.contain('c2hvcnQ=');
  });

  it('The gateway does not start with an unknown condition on any policy, and suggests a name', async () => {
    const { code, log } = await Gateway.failToStart({
      settings: {},
      gateway: gatewayConfig(nowhere, {
        api: [...both(), { terminate: { condition: { name: 'pathExakt', path: '/x' } } }],
      }),
    });
    expect(code).to.equal(1);
    expect(log).to.match(
      /terminate: there is no condition "pathExakt", expected one of .*; did you mean "pathExact"\?\n$/,
    );
  });

  it('The gateway shows no secret in the message about it', async () => {
    const { code, log } = await Gateway.failToStart({
      settings: { scopeSecret: 1234567 },
      gateway: gatewayConfig(nowhere, { api: both() }),
    });
    expect(code).to.equal(1);
    expect(log).to.contain('"scopeSecret" must be a string').and.not.contain('1234567');
  });
});

describe('A reload of the configuration', () => {
  let upstream: Upstream;
  before(async () => {
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
  });
  after(() => upstream.close());

  const reloads = (gateway: Gateway) => gateway.log.split('hot-reload config completed').length - 1;
  const ask = (gateway: Gateway, user: string) =>
    post(`${gateway.url}/api/v1/chat/completions`, { model: 'gpt-4o', messages: [], user });

  it('The gateway keeps stored answers across reloads, and the old settings if the new are wrong', async () => {
    const config = (action: object) => gatewayConfig(upstream.url, { api: both(action) });
    const gateway = await Gateway.start({ watch: true, gateway: config({ ttl: 100 }) });
    await ask(gateway, 'a');
    expect((await ask(gateway, 'a')).headers['x-cache']).to.equal('HIT (exact)');

    gateway.writeGatewayConfig(config({ ttl: 200 }));
    await gateway.logged(/hot-reload config completed/);
    expect((await ask(gateway, 'a')).headers['x-cache']).to.equal('HIT (exact)');
    await ask(gateway, 'b');
    expect((await ask(gateway, 'b')).headers['cache-status']).to.match(/ttl=(200|199)$/);

    gateway.writeGatewayConfig(config({ ttl: 'oops' }));
    await gateway.logged(/Could not hot-reload.*"ttl" must be a whole number, got "oops"/);
    expect(reloads(gateway)).to.equal(1);
    expect((await ask(gateway, 'a')).headers['x-cache']).to.equal('HIT (exact)');
    await ask(gateway, 'c');
    expect((await ask(gateway, 'c')).headers['cache-status']).to.match(/ttl=(200|199)$/);

    gateway.writeGatewayConfig(config({ ttl: 300 }));
    await gateway.logged(/completed[\s\S]*hot-reload config completed/);
    await ask(gateway, 'd');
    expect((await ask(gateway, 'd')).headers['cache-status']).to.match(/ttl=(300|299)$/);
    expect((await ask(gateway, 'c')).headers['x-cache']).to.equal('HIT (exact)');
    await gateway.stop();
  });

  it('The gateway uses a new store after a reload, and keeps the old one if the settings are wrong', async () => {
    const gateway = await Gateway.start({
      watch: true,
      gateway: gatewayConfig(upstream.url, { api: both() }),
    });
    await ask(gateway, 'a');
    gateway.writeSystemConfig({ stores: { memory: { type: 'memory', maxBytes: 'much' } } });
    await gateway.logged(/Could not hot-reload.*"stores.memory.maxBytes" must be a whole number/);
    expect((await ask(gateway, 'a')).headers['x-cache']).to.equal('HIT (exact)');

    gateway.writeSystemConfig({ stores: { memory: { type: 'memory', maxBytes: 50_000 } } });
    await gateway.logged(/hot-reload config completed/);
    expect((await ask(gateway, 'a')).headers['cache-status']).to.equal('llm-cache; fwd=miss');
    expect((await ask(gateway, 'a')).headers['x-cache']).to.equal('HIT (exact)');
    await gateway.stop();
  });
});
