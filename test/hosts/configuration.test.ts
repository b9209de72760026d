import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { llmNoCache } from '../../conditions/llm-no-cache.ts';
import { llmRequest } from '../../conditions/llm-request.ts';
import { checkPipelines } from '../../policies/hosts/pipeline-checks.ts';
import {
  gatewayConfiguration,
  hostConfiguration,
  readSettings,
  scopeSecret,
} from '../../policies/hosts/configuration.ts';
import { checkUsage } from '../../policies/hosts/usage-checks.ts';
import { readPipelines } from '../../policies/hosts/pipelines.ts';
import { checkPolicyNames } from '../../policies/hosts/policy-names.ts';
import { conditionNames } from '../../schemas/conditions.ts';
import { llmCacheSchema } from '../../schemas/llm-cache.ts';
import { llmUsageSchema } from '../../schemas/llm-usage.ts';
import type { PluginSettings } from '../../schemas/plugin.ts';
import { ConfigurationError, validate } from '../../schemas/validate.ts';

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

describe('The settings in system.config.yml', () => {
  const plain: PluginSettings = {
    limits: { bufferedBytes: 268435456 },
    stores: {},
    usage: {
      ledger: { store: 'memory', retentionDays: 90, maxGroups: 10000 },
      sinks: [{ type: 'log' }],
      prices: {},
      budgets: [],
    },
    admin: { hosts: [], recentRequests: 250 },
  };

  it('The settings must give each persisted store its own writable file, and a lasting secret', () => {
    const dir = mkdtempSync(join(tmpdir(), 'llm-cache-settings-'));
    const path = join(dir, 'new', 'entries');
    const memory = (file: string) => ({ type: 'memory', persist: { path: file } });
    const configured = (stores: object, more: object = { scopeSecret: 's' }) =>
      hostConfiguration({ stores, ...more }, [], 'createLlmCache');
    try {
      const { stores } = configured({ memory: memory(path) }).settings;
      expect(stores['memory']).to.deep.include({ persist: { path, everySeconds: 300 } });
      expect(
        refusal(() => configured({ one: memory(path), two: memory(`${dir}/./new/entries`) })),
      ).to.equal(
        'createLlmCache: "stores.one.persist.path" is the file of several stores (one, two), expected one of its own for each',
      );
      const sinks = [{ type: 'log' }, { type: 'jsonl', path: `${dir}/./new/entries` }];
      const more = { scopeSecret: 's', usage: { sinks } };
      expect(refusal(() => configured({ one: memory(path) }, more))).to.equal(
        'createLlmCache: "stores.one.persist.path" is the file of "usage.sinks.1", expected one of its own',
      );
      expect(refusal(() => configured({ memory: memory(dir) }))).to.equal(
        `createLlmCache: "stores.memory.persist.path": ${dir} is a folder, expected a file`,
      );
      writeFileSync(join(dir, 'file'), '');
      expect(
        refusal(() => configured({ memory: memory(join(dir, 'file', 'entries')) })),
      ).to.contain('createLlmCache: "stores.memory.persist.path": ');
      const seldom = { type: 'memory', persist: { path, everySeconds: 2_592_000 } };
      expect(refusal(() => configured({ memory: seldom }))).to.contain(
        '"stores.memory.persist.everySeconds" must be at most 86400, got 2592000',
      );
      expect(refusal(() => configured({ memory: memory(path) }, {}))).to.match(
        /^createLlmCache: "scopeSecret" is missing: with "persist" \("memory"\)/,
      );
      expect(refusal(() => configured({ memory: { type: 'memory', persist: {} } }))).to.contain(
        '"stores.memory.persist.path" is missing',
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('The settings have a default for everything', () => {
    expect(read({})).to.deep.equal(plain);
    expect(read({ limits: {}, usage: {}, stores: {} })).to.deep.equal(plain);
  });

  it('The settings keep what the operator said, with defaults beside it', () => {
    const settings = read({
      scopeSecret: 's',
      stores: { memory: { type: 'memory', maxBytes: 4096 }, other: { type: 'memory' } },
      usage: { sinks: [{ type: 'jsonl', path: './usage.jsonl' }] },
    });
    expect(settings).to.deep.equal({
      ...plain,
      scopeSecret: 's',
      stores: {
        memory: { type: 'memory', maxBytes: 4096, eviction: 'worth' },
        other: { type: 'memory', maxBytes: 268435456, eviction: 'worth' },
      },
      usage: { ...plain.usage, sinks: [{ type: 'jsonl', path: './usage.jsonl' }] },
    });
  });

  it("The settings accept the gateway's own package, and are not changed by reading", () => {
    const given = { package: 'express-gateway-plugin-llm-cache', usage: {} };
    expect(read(given).usage.sinks).to.have.length(1);
    expect(given).to.deep.equal({ package: 'express-gateway-plugin-llm-cache', usage: {} });
  });

  const wrong: readonly (readonly [object, string])[] = [
    [
      { store: {} },
      'unknown parameter "store", expected one of scopeSecret, limits, stores, usage, admin; did you mean "stores"?',
    ],
    [{ limits: { bytes: 1 } }, 'unknown parameter "limits.bytes", expected one of bufferedBytes'],
    [
      { limits: { bufferedBytes: '1' } },
      '"limits.bufferedBytes" must be a whole number, got "1" (how many bytes of bodies may be held at once)',
    ],
    [
      { limits: { bufferedBytes: Infinity } },
      '"limits.bufferedBytes" must be a whole number, got Infinity (how many bytes of bodies may be held at once)',
    ],
    [
      { limits: { bufferedBytes: 0 } },
      '"limits.bufferedBytes" must be at least 1, got 0 (how many bytes of bodies may be held at once)',
    ],
    [
      { limits: null },
      '"limits" must be an object with bufferedBytes, got null (bounds for the whole process)',
    ],
    [{ stores: { a: {} } }, '"stores.a.type" is missing, expected one of memory, redis, tiered'],
    [
      { stores: { a: { type: 'mongo' } } },
      '"stores.a.type" must be one of memory, redis, tiered, got "mongo"',
    ],
    [
      { stores: { a: { type: 'memory', size: 1 } } },
      'unknown parameter "stores.a.size", expected one of type, maxBytes, eviction, persist, encryptionKeys',
    ],
    [{ usage: { sinks: {} } }, '"usage.sinks" must be a list, got {} (where usage records go)'],
    [
      { usage: { sinks: [{ type: 'file' }] } },
      '"usage.sinks.0.type" must be one of log, jsonl, prometheus, redis, got "file"',
    ],
    [{ usage: { sinks: [{ type: 'jsonl' }] } }, '"usage.sinks.0.path" is missing'],
    [
      { usage: { sinks: [{}] } },
      '"usage.sinks.0.type" is missing, expected one of log, jsonl, prometheus, redis',
    ],
    [
      { usage: { sinks: [{ type: 'log', path: './a' }] } },
      'unknown parameter "usage.sinks.0.path", expected one of type',
    ],
    [
      { usage: { sinks: [{ type: 'prometheus', labels: ['prompt'] }] } },
      '"usage.sinks.0.labels.0" must be one of provider, model, requested_model, consumer_id, got "prompt"',
    ],
    [
      { usage: { ledger: { days: 3 } } },
      'unknown parameter "usage.ledger.days", expected one of store, retentionDays, maxGroups',
    ],
    [
      { usage: { ledger: { retentionDays: 0 } } },
      '"usage.ledger.retentionDays" must be at least 1, got 0 (how many days are kept, today included)',
    ],
    [
      { usage: { prices: { 'gpt-4o': {} } } },
      '"usage.prices.gpt-4o.input" is missing (USD per million input tokens)',
    ],
    [
      { usage: { prices: { 'gpt-4o': { input: -1 } } } },
      '"usage.prices.gpt-4o.input" must be at least 0, got -1 (USD per million input tokens)',
    ],
    [
      { usage: { prices: { 'gpt-4o': { input: 1, cached: 1 } } } },
      'unknown parameter "usage.prices.gpt-4o.cached", expected one of input, cachedInput, cacheWrite, cacheWrite1h, inputAudio, inputImage, output, reasoning, outputAudio, outputImage, citation, search, webSearch, fileSearch, codeExecution, imageGeneration',
    ],
  ];
  for (const [settings, message] of wrong) {
    it(`The settings are refused for ${JSON.stringify(settings)}, with what is wrong`, () => {
      expect(refusal(() => read(settings))).to.equal(
        `system.config.yml, plugins.llm-cache: ${message}`,
      );
    });
  }

  it('The settings are refused with everything that is wrong at once', () => {
    const message = refusal(() => read({ nope: 1, limits: { bufferedBytes: -1 } }));
    expect(message).to.contain('unknown parameter "nope"').and.to.contain('"limits.bufferedBytes"');
  });

  it('A refusal of the settings shows no secret, and no long value in full', () => {
    expect(refusal(() => read({ scopeSecret: ['PRIVATE'] }))).to.not.contain('PRIVATE');
    expect(refusal(() => read({ stores: 'x'.repeat(9999) }))).to.have.length.below(300);
  });
});

describe('The stores of the books', () => {
  const keep = (settings: object) => checkUsage(read(settings));
  const where = 'system.config.yml, plugins.llm-cache: "usage';
  const shared = { type: 'redis', url: 'redis://127.0.0.1' };
  const redisSink = (more: object = {}) => ({ sinks: [{ type: 'redis', ...more }] });

  it('The ledger must be in a store that exists', () => {
    keep({});
    keep({ stores: { shared }, usage: { ledger: { store: 'shared' } } });
    const near = { type: 'tiered', far: 'shared' };
    keep({ stores: { shared, near }, usage: { ledger: { store: 'near' } } });
    expect(refusal(() => keep({ stores: { shared }, usage: { ledger: { store: 'x' } } }))) //
      .to.equal(`${where}.ledger.store" must be one of memory, shared, got "x"`);
  });

  it('A redis sink needs a named redis store, the only one, or a url', () => {
    keep({ stores: { shared }, usage: redisSink() });
    keep({ stores: { shared, other: shared }, usage: redisSink({ store: 'other' }) });
    keep({ usage: redisSink({ url: 'redis://127.0.0.1' }) });
    expect(refusal(() => keep({ usage: redisSink() }))).to.equal(
      `${where}.sinks.0.store" must be the name of a redis store (none, because there is no redis store), unless there is a "url"`,
    );
    const two = { shared, other: shared };
    expect(refusal(() => keep({ stores: two, usage: redisSink() }))).to.contain('(shared, other)');
    expect(refusal(() => keep({ stores: { shared }, usage: redisSink({ store: 'memory' }) }))) //
      .to.contain('(shared)')
      .and.to.contain('got "memory"');
  });

  it('The usage settings allow one prometheus sink', () => {
    const sinks = [{ type: 'prometheus' }, { type: 'prometheus' }];
    expect(refusal(() => keep({ usage: { sinks } }))).to.contain('sinks.1');
  });
});

describe('The hosts of the admin routes', () => {
  const hostsOf = (settings: object, admin: object = {}) => {
    const context = {
      settings: { scopeSecret: 's', ...settings },
      config: { systemConfig: {}, gatewayConfig: { admin } },
    };
    return gatewayConfiguration(context, []).adminHosts;
  };

  it('The admin hosts are those configured and the one that the gateway listens on', () => {
    expect(hostsOf({})).to.deep.equal({
      names: [],
      setting: 'admin.hosts (system.config.yml, plugins.llm-cache)',
    });
    const admin = { hosts: ['Gateway', '*.Example.com', 'other.'] };
    expect(hostsOf({ admin }, { host: 'ops.internal' }).names).to.deep.equal([
      'gateway',
      '*.example.com',
      'other',
      'ops.internal',
    ]);
    expect(hostsOf({}, { hostname: 'ops.internal' }).names).to.deep.equal(['ops.internal']);
  });

  it('The admin hosts are named at createLlmCache where there is no gateway', () => {
    const { adminHosts } = hostConfiguration({ admin: { hosts: ['a'] } }, [], 'createLlmCache');
    expect(adminHosts).to.deep.equal({
      names: ['a'],
      setting: 'admin.hosts of createLlmCache',
    });
  });

  for (const host of ['', 'http://a', 'a:9876', '*', 'a/b', 'a b', '[::1]', '*.*.a', 'me@a']) {
    it(`The admin hosts are names alone, not ${JSON.stringify(host)}`, () => {
      expect(refusal(() => read({ admin: { hosts: [host] } }))).to.contain('"admin.hosts.0"');
    });
  }
});

describe('The scope secret', () => {
  const crypto = { cipherKey: "the gateway's" };

  it("The scope secret is the setting, else the gateway's own cipherKey", () => {
    expect(scopeSecret(read({ scopeSecret: 'ours' }), { crypto })).to.equal('ours');
    expect(scopeSecret(read({}), { crypto })).to.equal("the gateway's");
  });

  it('The scope secret must be there', () => {
    for (const none of [{}, { crypto: null }, { crypto: {} }, { crypto: { cipherKey: '' } }]) {
      expect(refusal(() => scopeSecret(read({}), none))).to.contain('"scopeSecret" is missing');
    }
    expect(refusal(() => read({ scopeSecret: '' }))).to.contain('"scopeSecret"');
    expect(refusal(() => read({ scopeSecret: null }))).to.contain('"scopeSecret"');
  });
});

describe('A policy step in gateway.config.yml', () => {
  const where = 'gateway.config.yml, pipeline "openai"';

  it('A policy step may be named and nothing more', () => {
    for (const policy of ['llm-cache', 'llm-usage']) {
      for (const step of [null, {}, [], { action: null }, { action: {} }]) check(policy, step);
    }
  });

  it('A policy step may set everything that its schema has', () => {
    check('llm-cache', {
      action: { ...validate<object>(llmCacheSchema, {}, 'test'), namespace: 'a' },
    });
    check('llm-usage', {
      action: { ...validate<object>(llmUsageSchema, {}, 'test'), provider: 'a' },
    });
  });

  const wrong: readonly (readonly [string, object, string])[] = [
    ['llm-cache', { tll: 5 }, 'unknown parameter "tll", expected one of store, ttl, namespace, '],
    ['llm-cache', { ttl: 0 }, '"ttl" must be at least 1, got 0'],
    ['llm-cache', { ttl: '60' }, '"ttl" must be a whole number, got "60"'],
    ['llm-cache', { ttl: 1.5 }, '"ttl" must be a whole number, got 1.5'],
    ['llm-cache', { ttl: Infinity }, '"ttl" must be a whole number, got Infinity'],
    [
      'llm-cache',
      { scope: 'user' },
      '"scope" must be one of auto, consumer, credential, shared, got "user"',
    ],
    ['llm-cache', { varyHeaders: 'a' }, '"varyHeaders" must be a list, got "a"'],
    ['llm-cache', { ignoreFields: [1] }, '"ignoreFields.0" must be a string, got 1'],
    ['llm-cache', { clientControls: 'no' }, '"clientControls" must be true or false, got "no"'],
    [
      'llm-cache',
      { allowedControls: ['Cache-Control'] },
      '"allowedControls.0" must be one of cache-control, x-cache-control, x-cache-ttl, x-cache-type, x-cache-namespace, got "Cache-Control"',
    ],
    ['llm-cache', { mode: 'opt-in', clientControls: false }, '"mode": opt-in lets no request'],
    ['llm-cache', { mode: 'opt-in', allowedControls: ['x-cache-ttl'] }, '"mode": opt-in lets no'],
    ['llm-cache', { namespace: '' }, '"namespace" must not be empty, got ""'],
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
    ['llm-usage', { provider: 7 }, '"provider" must be a string, got 7'],
    ['llm-cache', { condition: {} }, '"condition" stands in action, where it has no effect'],
  ];
  for (const [policy, action, message] of wrong) {
    it(`A policy step is refused for ${policy} ${JSON.stringify(action)}, naming pipeline, policy and fault`, () => {
      const settings = { stores: { near: { type: 'memory' } } };
      const text = refusal(() => check(policy, { action }, settings));
      expect(text).to.contain(`${where}, ${policy}: ${message}`);
    });
  }

  it('A policy step is refused where a parameter or a word stands in place of action', () => {
    expect(refusal(() => check('llm-cache', { ttl: 60 }))).to.contain(
      '"ttl" stands beside action and condition, where it has no effect; parameters stand in action, as in llm-cache: { action: { … } }',
    );
    expect(refusal(() => check('llm-cache', 'shared'))).to.contain('"shared" stands beside action');
  });

  const pipelineOf = (policy: string) =>
    readPipelines({ pipelines: { openai: { policies: [{ [policy]: {} }] } } });

  it('A policy step is refused when the list of policies leaves it out, or its name is misspelt', () => {
    const listing = (policy: string, policies: unknown) =>
      refusal(() => checkPolicyNames(pipelineOf(policy), policies));
    for (const policies of [undefined, null, [], ['proxy']]) {
      expect(listing('llm-cache', policies)).to.equal(
        'gateway.config.yml, pipeline "openai": "policies" at the top of the file does not list llm-cache; add it there, as in policies: [llm-usage, llm-cache, proxy]',
      );
    }
    expect(listing('llm_cache', ['llm-cache'])).to.equal(
      'gateway.config.yml, pipeline "openai": there is no policy "llm_cache" in "policies"; did you mean "llm-cache"?',
    );
    checkPolicyNames(pipelineOf('llm-cache'), ['llm-cache']);
    checkPolicyNames(pipelineOf('proxy'), undefined);
  });

  it("A policy step's refusal lists no parameter that only the gateway sets", () => {
    expect(refusal(() => check('llm-cache', { action: { a: 1 } }))).to.not.contain('Callback');
  });

  it('A policy step may use any store that has a name', () => {
    check('llm-cache', [{ action: { store: 'near' } }], { stores: { near: { type: 'memory' } } });
    check('llm-cache', [{ action: { store: 'memory' } }], { stores: { near: { type: 'memory' } } });
  });

  it('A policy step is checked wherever it stands in its list', () => {
    expect(refusal(() => check('llm-cache', [{}, { action: { ttl: 0 } }]))).to.contain('"ttl"');
  });

  const conditions: readonly (readonly [object, string])[] = [
    [
      { name: 'llm-request', protocols: ['chats'] },
      '"protocols.0" must be one of chat, completions, responses, embeddings, messages, gemini, gemini-embeddings, rerank, moderations, got "chats"; did you mean "chat"?',
    ],
    [
      { name: 'llm-request', protocols: [] },
      '"protocols" must not be empty, got [] (the APIs to match)',
    ],
    [
      { name: 'llm-request', path: 'x' },
      'unknown parameter "path", expected one of protocols, paths, name; did you mean "paths"?',
    ],
    [
      { name: 'llm-request', paths: '/v1/**' },
      '"paths" must be a list, got "/v1/**" (globs for the path that the client sent)',
    ],
    [
      { name: 'llm-no-cache', protocols: ['chat'] },
      'unknown parameter "protocols", expected one of name',
    ],
  ];
  for (const [condition, message] of conditions) {
    it(`A policy step is refused for the condition ${JSON.stringify(condition)}`, () => {
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

  it("Our conditions are checked on other plugins' policies too", () => {
    const step = { action: { anything: 1 }, condition: { name: 'llm-request', nope: 1 } };
    expect(refusal(() => check('rate-limit', step))).to.contain(`${where}, rate-limit, condition`);
  });

  it("Other plugins' policies and conditions are not checked", () => {
    check('rate-limit', { action: { max: 'x' }, condition: { name: 'json-schema', nope: 1 } });
  });
});

describe('A condition in gateway.config.yml', () => {
  const withCondition = (condition: unknown, hasOtherPlugins = false) => {
    const pipelines = readPipelines({
      pipelines: { p: { policies: [{ 'rate-limit': { condition } }] } },
    });
    checkPipelines(pipelines, read({}), { hasOtherPlugins });
  };

  for (const condition of [
    undefined,
    null,
    false,
    '',
    { name: 'always' },
    { name: 'authenticated' },
    { name: 'tlsClientAuthenticated' },
    { name: 'not', condition: { name: 'anonymous' } },
    { name: 'oneOf', conditions: [{ name: 'never' }, { name: 'allOf', conditions: [] }] },
  ]) {
    it(`A condition may be ${JSON.stringify(condition)}`, () => withCondition(condition));
  }

  for (const [condition, message] of [
    [{ name: 'metod' }, 'there is no condition "metod", expected one of'],
    [{ name: 'metod' }, 'did you mean "method"?'],
    ['llm-request', 'the condition is not an object, expected'],
    ['llm-request', 'write { name: llm-request }'],
    [{ methods: ['POST'] }, 'the condition has no "name", expected'],
    [{ name: 'allOf', conditions: [{ name: 'nothing' }] }, 'there is no condition "nothing"'],
    [{ name: 'not', condition: { name: 'constructor' } }, 'there is no condition "constructor"'],
    [{ name: 'not' }, 'the condition not needs a "condition"'],
    [{ name: 'oneOf' }, 'the condition oneOf needs a list of "conditions"'],
    [{ name: 'allOf', conditions: ['always'] }, 'the condition allOf has a member'],
  ] as const) {
    it(`A condition is refused for ${JSON.stringify(condition)}: ${message}`, () => {
      expect(refusal(() => withCondition(condition)))
        .to.contain(message)
        .and.to.contain('gateway.config.yml, pipeline "p", rate-limit: ');
    });
  }

  it('The known condition names are exactly those that the gateway and this plugin register', () => {
    const predefined = createRequire(resolve('manifest.js'))(
      'express-gateway/lib/conditions/predefined.js',
    ) as readonly { readonly name: string }[];
    const registered = [...predefined, llmRequest, llmNoCache].map(({ name }) => name);
    expect([...conditionNames].toSorted()).to.deep.equal(
      registered.filter((name) => name !== 'base').toSorted(),
    );
  });

  it('A condition may have an unknown name where another plugin can register it', () => {
    withCondition({ name: 'metod' }, true);
    withCondition({ name: 'not', condition: { name: 'theirs' } }, true);
  });
});
