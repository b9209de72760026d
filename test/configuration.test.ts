import { expect } from 'chai';
import { checkPipelines, readSettings, scopeSecret } from '../policies/configuration.ts';
import { readPipelines } from '../policies/pipelines.ts';
import { llmCacheSchema } from '../schemas/llm-cache.ts';
import { llmUsageSchema } from '../schemas/llm-usage.ts';
import type { PluginSettings } from '../schemas/plugin.ts';
import { ConfigurationError, validate } from '../schemas/validate.ts';

const read = (settings: object) => readSettings({ settings: settings as Record<string, unknown> });

function check(policy: string, step: unknown, settings: object = {}): void {
  const pipelines = readPipelines({ pipelines: { openai: { policies: [{ [policy]: step }] } } });
  checkPipelines(pipelines, read(settings));
}

/** The message of the ConfigurationError that `action` ends in. */
function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigurationError);
    return (error as Error).message;
  }
  throw new Error('nothing was refused');
}

describe('the settings in system.config.yml', () => {
  const plain: PluginSettings = {
    limits: { bufferedBytes: 268435456 },
    stores: {},
    usage: { sinks: [{ type: 'log' }] },
  };

  it('have a default for everything', () => {
    expect(read({})).to.deep.equal(plain);
    expect(read({ limits: {}, usage: {}, stores: {} })).to.deep.equal(plain);
  });

  it('keep what the operator said, with defaults beside it', () => {
    const settings = read({
      scopeSecret: 's',
      stores: { memory: { type: 'memory', maxBytes: 4096 }, other: { type: 'memory' } },
      usage: { sinks: [{ type: 'jsonl', path: './usage.jsonl' }] },
    });
    expect(settings).to.deep.equal({
      ...plain,
      scopeSecret: 's',
      stores: {
        memory: { type: 'memory', maxBytes: 4096 },
        other: { type: 'memory', maxBytes: 268435456 },
      },
      usage: { sinks: [{ type: 'jsonl', path: './usage.jsonl' }] },
    });
  });

  it("take the gateway's own package, and leave what they were given as it was", () => {
    const given = { package: 'express-gateway-plugin-llm-cache', usage: {} };
    expect(read(given).usage.sinks).to.have.length(1);
    expect(given).to.deep.equal({ package: 'express-gateway-plugin-llm-cache', usage: {} });
  });

  const wrong: readonly (readonly [object, string])[] = [
    [
      { store: {} },
      'unknown parameter "store", expected one of scopeSecret, limits, stores, usage',
    ],
    [{ limits: { bytes: 1 } }, 'unknown parameter "limits.bytes", expected one of bufferedBytes'],
    [{ limits: { bufferedBytes: '1' } }, '"limits.bufferedBytes" must be integer, got "1"'],
    [{ limits: { bufferedBytes: 0 } }, '"limits.bufferedBytes" must be >= 1, got 0'],
    [{ limits: null }, '"limits" must be object, got null'],
    [{ stores: { a: {} } }, '"stores.a.type" is missing'],
    [
      { stores: { a: { type: 'mongo' } } },
      '"stores.a.type" must be one of memory, redis, tiered, got "mongo"',
    ],
    [
      { stores: { a: { type: 'memory', size: 1 } } },
      'unknown parameter "stores.a.size", expected one of type, maxBytes',
    ],
    [{ usage: { sinks: {} } }, '"usage.sinks" must be array, got {}'],
    [
      { usage: { sinks: [{ type: 'file' }] } },
      '"usage.sinks.0.type" must be one of log, jsonl, got "file"',
    ],
    [{ usage: { sinks: [{ type: 'jsonl' }] } }, '"usage.sinks.0.path" is missing'],
    [{ usage: { sinks: [{}] } }, '"usage.sinks.0.type" is missing'],
  ];
  for (const [settings, message] of wrong) {
    it(`refuse ${JSON.stringify(settings)}, and say what is wrong with it`, () => {
      expect(refusal(() => read(settings))).to.equal(
        `system.config.yml, plugins.llm-cache: ${message}`,
      );
    });
  }

  it('are told everything that is wrong at once', () => {
    const message = refusal(() => read({ nope: 1, limits: { bufferedBytes: -1 } }));
    expect(message).to.contain('unknown parameter "nope"').and.to.contain('"limits.bufferedBytes"');
  });

  it('are not shown where they are secret, and not in full where they are long', () => {
    expect(refusal(() => read({ scopeSecret: ['PRIVATE'] }))).to.not.contain('PRIVATE');
    expect(refusal(() => read({ stores: 'x'.repeat(9999) }))).to.have.length.below(300);
  });
});

describe('the secret of the scopes', () => {
  const crypto = { cipherKey: "the gateway's" };

  it("is the setting, else the gateway's own cipherKey", () => {
    expect(scopeSecret(read({ scopeSecret: 'ours' }), { crypto })).to.equal('ours');
    expect(scopeSecret(read({}), { crypto })).to.equal("the gateway's");
  });

  it('must be there', () => {
    for (const none of [{}, { crypto: null }, { crypto: {} }, { crypto: { cipherKey: '' } }]) {
      expect(refusal(() => scopeSecret(read({}), none))).to.contain('"scopeSecret" is missing');
    }
    expect(refusal(() => read({ scopeSecret: '' }))).to.contain('"scopeSecret"');
    expect(refusal(() => read({ scopeSecret: null }))).to.contain('"scopeSecret"');
  });
});

describe('a step of ours in gateway.config.yml', () => {
  const where = 'gateway.config.yml, pipeline "openai"';

  it('may be named and nothing more', () => {
    for (const policy of ['llm-cache', 'llm-usage']) {
      for (const step of [null, {}, [], { action: null }, { action: {} }]) check(policy, step);
    }
  });

  it('may say everything that the schema has', () => {
    check('llm-cache', {
      action: { ...validate<object>(llmCacheSchema, {}, 'test'), namespace: 'a' },
    });
    check('llm-usage', {
      action: { ...validate<object>(llmUsageSchema, {}, 'test'), provider: 'a' },
    });
  });

  const wrong: readonly (readonly [string, object, string])[] = [
    ['llm-cache', { tll: 5 }, 'unknown parameter "tll", expected one of store, ttl, namespace, '],
    ['llm-cache', { ttl: 0 }, '"ttl" must be >= 1, got 0'],
    ['llm-cache', { ttl: '60' }, '"ttl" must be integer, got "60"'],
    ['llm-cache', { ttl: 1.5 }, '"ttl" must be integer, got 1.5'],
    [
      'llm-cache',
      { scope: 'user' },
      '"scope" must be one of auto, consumer, credential, shared, got "user"',
    ],
    ['llm-cache', { varyHeaders: 'a' }, '"varyHeaders" must be array, got "a"'],
    ['llm-cache', { ignoreFields: [1] }, '"ignoreFields.0" must be string, got 1'],
    ['llm-cache', { clientControls: 'no' }, '"clientControls" must be boolean, got "no"'],
    ['llm-cache', { namespace: '' }, '"namespace" must NOT have fewer than 1 characters, got ""'],
    [
      'llm-cache',
      { store: 'redis' },
      '"store" must be one of memory, near (the stores in system.config.yml), got "redis"',
    ],
    ['llm-cache', { store: 'toString' }, '"store" must be one of memory, near '],
    [
      'llm-usage',
      { store: 'memory' },
      'unknown parameter "store", expected one of provider, maxRequestBytes, maxResponseBytes',
    ],
    ['llm-usage', { provider: 7 }, '"provider" must be string, got 7'],
  ];
  for (const [policy, action, message] of wrong) {
    it(`is refused for ${policy} ${JSON.stringify(action)}, in words that name all three`, () => {
      const settings = { stores: { near: { type: 'memory' } } };
      const text = refusal(() => check(policy, { action }, settings));
      expect(text).to.contain(`${where}, ${policy}: ${message}`);
    });
  }

  it('never lists a parameter that only the gateway sets', () => {
    expect(refusal(() => check('llm-cache', { action: { a: 1 } }))).to.not.contain('Callback');
  });

  it('may use any store that has a name', () => {
    check('llm-cache', [{ action: { store: 'near' } }], { stores: { near: { type: 'memory' } } });
    check('llm-cache', [{ action: { store: 'memory' } }], { stores: { near: { type: 'memory' } } });
  });

  it('is judged in every step, not in the first alone', () => {
    expect(refusal(() => check('llm-cache', [{}, { action: { ttl: 0 } }]))).to.contain('"ttl"');
  });

  const conditions: readonly (readonly [object, string])[] = [
    [
      { name: 'llm-request', protocols: ['chats'] },
      '"protocols.0" must be one of chat, completions, responses, embeddings, messages, got "chats"',
    ],
    [
      { name: 'llm-request', protocols: [] },
      '"protocols" must NOT have fewer than 1 items, got []',
    ],
    [
      { name: 'llm-request', path: 'x' },
      'unknown parameter "path", expected one of protocols, paths, name',
    ],
    [{ name: 'llm-request', paths: '/v1/**' }, '"paths" must be array, got "/v1/**"'],
    [
      { name: 'llm-no-cache', protocols: ['chat'] },
      'unknown parameter "protocols", expected one of name',
    ],
  ];
  for (const [condition, message] of conditions) {
    it(`is refused for the condition ${JSON.stringify(condition)}`, () => {
      const name = (condition as { name: string }).name;
      for (const nested of [
        condition,
        { name: 'allOf', conditions: [{ name: 'not', condition }] },
      ]) {
        const text = refusal(() => check('llm-cache', { condition: nested }));
        expect(text).to.equal(`${where}, llm-cache, condition ${name}: ${message}`);
      }
    });
  }

  it('is judged by our conditions on the policies of others as well', () => {
    const step = { action: { anything: 1 }, condition: { name: 'llm-request', nope: 1 } };
    expect(refusal(() => check('rate-limit', step))).to.contain(`${where}, rate-limit, condition`);
  });

  it('is not judged by the policies and conditions of others', () => {
    check('rate-limit', { action: { max: 'x' }, condition: { name: 'json-schema', nope: 1 } });
  });
});
