import { expect } from 'chai';
import { orderWarnings } from '../../../policies/hosts/gateway/order-warnings.ts';
import { conditionsIn, readPipelines } from '../../../policies/hosts/pipelines.ts';

function allWarnings(...policies: unknown[]): string[] {
  return readPipelines({ pipelines: { openai: { policies } } }).flatMap(orderWarnings);
}

/** Without the one about a cache that stands alone: most pipelines here leave llm-usage out. */
function warnings(...policies: unknown[]): string[] {
  return allWarnings(...policies).filter((text) => !text.includes('stands without llm-usage'));
}

const usage = { 'llm-usage': {} };
const closed = { action: { scope: 'consumer' } };
const cache = { 'llm-cache': closed };
const proxy = { proxy: { action: { serviceEndpoint: 'openai' } } };
const keyAuth = { 'key-auth': null };
const rewrite = { 'request-transformer': { action: { body: { add: { user: "'u'" } } } } };

const request = (...protocols: string[]) => ({ name: 'llm-request', protocols });

describe('Warnings about the order of policies', () => {
  it('The order of the README brings no warning', () => {
    expect(warnings(rewrite, keyAuth, { 'rate-limit': {} }, usage, cache, proxy)).to.deep.equal([]);
  });

  const fine: readonly (readonly [string, unknown[]])[] = [
    ['a pipeline without our policies', [rewrite, proxy, keyAuth]],
    ['llm-cache alone', [cache, proxy]],
    ['llm-usage alone, wherever authentication stands', [usage, keyAuth, proxy]],
    ['rate-limit behind llm-cache', [usage, cache, { 'rate-limit': {} }, proxy]],
    [
      'a transformer of headers behind',
      [cache, { 'request-transformer': { action: { headers: { add: { a: "'b'" } } } } }, proxy],
    ],
    [
      'a transformer of responses behind',
      [cache, { 'response-transformer': { action: { body: {} } } }, proxy],
    ],
    [
      'a terminate that stands in front under a condition',
      [{ terminate: { condition: { name: 'never' } } }, cache, proxy],
    ],
    [
      'an llm-request condition',
      [{ 'llm-cache': { ...closed, condition: { name: 'llm-request' } } }, proxy],
    ],
  ];
  for (const [name, policies] of fine) {
    it(`The order warnings accept ${name}`, () => expect(warnings(...policies)).to.deep.equal([]));
  }

  const wrong: readonly (readonly [string, unknown[], RegExp])[] = [
    ['llm-usage behind llm-cache', [cache, usage, proxy], /llm-usage stands after llm-cache/],
    ['both behind proxy', [proxy, cache], /llm-cache stands after proxy, where it never runs/],
    ['llm-usage behind proxy', [proxy, usage], /llm-usage stands after proxy/],
    ['llm-cache behind terminate', [{ terminate: {} }, cache, proxy], /stands after terminate/],
    [
      'a proxy without a condition behind one with',
      [{ proxy: [{ condition: { name: 'never' } }, {}] }, cache],
      /stands after proxy/,
    ],
    [
      'a proxy whose condition is empty',
      [{ proxy: [{ condition: null }] }, cache],
      /stands after proxy/,
    ],
    [
      'a rewritten body behind llm-cache',
      [cache, rewrite, proxy],
      /rewrites the body after llm-cache/,
    ],
    [
      'a rewritten body behind llm-usage',
      [usage, rewrite, cache, proxy],
      /rewrites the body after llm-usage/,
    ],
    [
      'a json-schema condition',
      [{ 'llm-cache': { ...closed, condition: { name: 'json-schema', schema: {} } } }, proxy],
      /json-schema condition on llm-cache/,
    ],
    [
      'a json-schema condition on llm-usage',
      [{ 'llm-usage': { condition: { name: 'json-schema' } } }, proxy],
      /json-schema condition on llm-usage/,
    ],
    [
      'a json-schema condition within another',
      [
        {
          'llm-cache': {
            ...closed,
            condition: {
              name: 'not',
              condition: {
                name: 'allOf',
                conditions: [{ name: 'always' }, { name: 'json-schema' }],
              },
            },
          },
        },
        proxy,
      ],
      /json-schema condition on llm-cache/,
    ],
    ...['key-auth', 'basic-auth', 'jwt', 'oauth2', 'oauth2-introspect'].map(
      (auth): [string, unknown[], RegExp] => [
        `${auth} behind llm-cache`,
        [cache, { [auth]: {} }, proxy],
        new RegExp(`"openai": ${auth} stands after llm-cache`),
      ],
    ),
  ];
  for (const [name, policies, expected] of wrong) {
    it(`The order warnings warn of ${name}, naming the pipeline`, () => {
      const found = warnings(...policies);
      expect(found).to.have.length(1);
      expect(found[0]).to.match(expected).and.to.contain('pipeline "openai"');
    });
  }

  it('The order warnings warn of llm-cache without llm-usage', () => {
    const [alone, ...more] = allWarnings(cache, proxy);
    expect(alone).to.equal(
      'pipeline "openai": llm-cache stands without llm-usage, so neither hits nor savings are recorded; put llm-usage before llm-cache',
    );
    expect(more).to.deep.equal([]);
    expect(allWarnings(usage, cache, proxy)).to.deep.equal([]);
    expect(allWarnings(usage, proxy)).to.deep.equal([]);
    expect(allWarnings(proxy)).to.deep.equal([]);
  });

  const all = (...conditions: object[]) => ({ name: 'allOf', conditions });
  const any = (...conditions: object[]) => ({ name: 'oneOf', conditions });
  const path = { name: 'pathExact', path: '/v1/chat/completions' };
  const method = { name: 'method', methods: ['POST'] };

  const covered: readonly (readonly [earlier: unknown, later: unknown])[] = [
    [undefined, undefined],
    [undefined, request('chat')],
    [null, path],
    [{ name: 'always' }, path],
    [{ name: 'llm-request' }, undefined],
    [{ name: 'llm-request' }, request('chat')],
    [{ name: 'llm-request' }, path],
    [request('chat', 'messages'), request('messages')],
    [request('chat'), request('chat')],
    [request('chat'), all(method, request('chat'))],
    [path, { path: '/v1/chat/completions', name: 'pathExact' }],
    [any(path, method), method],
    [any(request('chat'), request('messages')), request('chat')],
    [path, { name: 'never' }],
  ];
  for (const [earlier, later] of covered) {
    const step = (condition: unknown) => ({ ...closed, condition });
    const title = `${JSON.stringify(earlier)} before ${JSON.stringify(later)}`;
    it(`The order warnings warn of a step that never runs: ${title}`, () => {
      const [text, ...more] = allWarnings(
        usage,
        { 'llm-cache': [step(earlier), step(later)] },
        proxy,
      );
      expect(text).to.contain('"openai": an llm-cache step never runs');
      expect(more).to.deep.equal([]);
    });
  }

  const apart: readonly (readonly [earlier: unknown, later: unknown])[] = [
    [request('chat'), undefined],
    [request('chat'), { name: 'llm-request' }],
    [request('chat'), request('chat', 'messages')],
    [request('chat'), request('messages')],
    [{ name: 'llm-request', paths: ['/a/**'] }, request('chat')],
    [
      { name: 'llm-request', paths: ['/a/**'] },
      { name: 'llm-request', paths: ['/b/**'] },
    ],
    [path, undefined],
    [path, method],
    [all(path, method), path],
    [{ name: 'not', condition: path }, path],
    [{ name: 'never' }, path],
  ];
  for (const [earlier, later] of apart) {
    const step = (condition: unknown) => ({ ...closed, condition });
    const title = `${JSON.stringify(earlier)} before ${JSON.stringify(later)}`;
    it(`The order warnings accept two steps that may both run: ${title}`, () => {
      const steps = { 'llm-cache': [step(earlier), step(later)] };
      expect(allWarnings(usage, steps, proxy)).to.deep.equal([]);
    });
  }

  it('The order warnings warn of a second llm-cache or llm-usage policy that never runs', () => {
    expect(allWarnings(usage, cache, cache, proxy)[0]).to.contain('an llm-cache step never runs');
    expect(allWarnings(usage, usage, cache, proxy)[0]).to.contain('an llm-usage step never runs');
  });

  it('The order warnings say each thing once', () => {
    expect(warnings(cache, { 'llm-usage': [{}, {}] }, keyAuth, rewrite, proxy)).to.have.length(4);
  });
});

describe('Warnings about anonymous callers', () => {
  const open = { 'llm-cache': {} };
  const custom = { 'llm-cache': { action: { scope: 'auto', ttl: 5 } } };
  const under = (...conditions: object[]) => ({
    'llm-cache': { condition: { name: 'allOf', conditions } },
  });
  const said =
    /"openai": no policy authenticates before llm-cache, so callers without a credential share one scope .* scope: credential or scope: shared$/;

  it('The order warnings warn once of a pipeline with anonymous callers, and name the ways out', () => {
    for (const policies of [
      [open, proxy],
      [rewrite, usage, { 'rate-limit': {} }, { cors: {} }, custom, proxy],
      [{ 'llm-cache': [{ condition: request('chat') }, {}] }, proxy],
      [
        under({ name: 'llm-request' }, { name: 'not', condition: { name: 'authenticated' } }),
        proxy,
      ],
    ]) {
      const found = warnings(...policies);
      expect(found, JSON.stringify(policies)).to.have.length(1);
      expect(found[0]).to.match(said);
    }
  });

  it('The order warnings accept an open pipeline that authenticates, scopes or filters its callers', () => {
    const scoped = (scope: string) => ({ 'llm-cache': { action: { scope } } });
    for (const policies of [
      [keyAuth, open, proxy],
      [{ jwt: {} }, usage, open, proxy],
      [{ 'our-own-auth': {} }, open, proxy],
      [scoped('shared'), proxy],
      [scoped('consumer'), proxy],
      [scoped('credential'), proxy],
      [under({ name: 'llm-request' }, { name: 'authenticated' }), proxy],
      [usage, proxy],
    ]) {
      expect(warnings(...policies), JSON.stringify(policies)).to.deep.equal([]);
    }
  });
});

describe('The Host that a client sent', () => {
  const forwards = (policies: unknown[], serviceEndpoints?: unknown) =>
    readPipelines({ serviceEndpoints, pipelines: { p: { policies } } })[0]?.forwardsHost;
  const by = (action: object) => [{ proxy: { action: { serviceEndpoint: 'up', ...action } } }];

  it('The pipeline reader sees that the proxy policy replaces the Host, unless told to pass it on', () => {
    expect(forwards(by({}))).to.equal(false);
    expect(forwards(by({ changeOrigin: true, xfwd: false }))).to.equal(false);
    expect(forwards(by({ xfwd: 'false' }))).to.equal(false);
    for (const action of [
      { changeOrigin: false },
      { changeOrigin: 'false' },
      { changeOrigin: null },
      { xfwd: true },
      { xfwd: 'true' },
      { proxyOptions: { changeOrigin: false } },
      { proxyOptions: { xfwd: true } },
    ]) {
      expect(forwards(by(action)), JSON.stringify(action)).to.equal(true);
    }
  });

  it('The pipeline reader sees a passed-on Host in a serviceEndpoint and in one of several proxies', () => {
    const up = { up: { url: 'http://a', proxyOptions: { changeOrigin: false } } };
    expect(forwards(by({}), up)).to.equal(true);
    expect(forwards(by({ serviceEndpoint: 'other' }), up)).to.equal(false);
    expect(forwards([...by({}), ...by({ xfwd: true })])).to.equal(true);
  });

  it('The pipeline reader assumes a passed-on Host where another policy calls the upstream', () => {
    expect(forwards([{ 'our-own-proxy': {} }])).to.equal(true);
    expect(forwards([{ proxy: null }])).to.equal(false);
  });
});

describe('The pipelines of gateway.config.yml', () => {
  const step = { policy: 'llm-cache', action: undefined, condition: undefined };

  it('The pipeline reader reads pipelines by name, with every step of a policy', () => {
    const action = { ttl: 1 };
    const condition = { name: 'always' };
    const [one] = readPipelines({
      pipelines: {
        openai: {
          apiEndpoints: ['a', 'b'],
          policies: [{ 'key-auth': null }, { 'llm-cache': [{ action, condition }, {}] }],
        },
      },
    });
    expect(one).to.deep.equal({
      name: 'openai',
      apiEndpoints: ['a', 'b'],
      steps: [
        { ...step, pipeline: 'openai', policy: 'key-auth' },
        { pipeline: 'openai', policy: 'llm-cache', action, condition },
        { ...step, pipeline: 'openai' },
      ],
      forwardsHost: true,
    });
  });

  const spellings: readonly (readonly [string, unknown])[] = [
    [
      'a step that is not in a list',
      { p: { apiEndpoints: ['a'], policies: [{ 'llm-cache': {} }] } },
    ],
    [
      'a policy that is named and nothing more',
      { p: { apiEndpoints: ['a'], policies: [{ 'llm-cache': null }] } },
    ],
    [
      'a policy with an empty list',
      { p: { apiEndpoints: ['a'], policies: [{ 'llm-cache': [] }] } },
    ],
    [
      'one endpoint and one policy, unlisted',
      { p: { apiEndpoints: 'a', policies: { 'llm-cache': {} } } },
    ],
    ['the singular names', { p: { apiEndpoint: 'a', policy: { 'llm-cache': {} } } }],
  ];
  for (const [name, pipelines] of spellings) {
    it(`The pipeline reader accepts ${name}`, () => {
      expect(readPipelines({ pipelines })).to.deep.equal([
        {
          name: 'p',
          apiEndpoints: ['a'],
          steps: [{ ...step, pipeline: 'p' }],
          forwardsHost: true,
        },
      ]);
    });
  }

  it('The pipeline reader accepts a list of pipelines and one unnamed pipeline', () => {
    const pipeline = { apiEndpoint: 'a', policies: [{ 'llm-cache': {} }] };
    const steps = [{ ...step, pipeline: '0' }];
    const expected = [{ name: '0', apiEndpoints: ['a'], steps, forwardsHost: true }];
    expect(readPipelines({ pipelines: [pipeline] })).to.deep.equal(expected);
    expect(readPipelines({ pipeline })).to.deep.equal(expected);
  });

  it('The pipeline reader finds no pipelines where there are none', () => {
    for (const pipelines of [undefined, null, {}, 'x', { p: null }]) {
      expect(readPipelines({ pipelines }), JSON.stringify(pipelines)).to.deep.equal([]);
    }
  });

  it('The pipeline reader lists every condition within a condition', () => {
    const inner = { name: 'llm-request' };
    const other = { name: 'llm-no-cache' };
    const not = { name: 'not', condition: other };
    const all = { name: 'allOf', conditions: [inner, not] };
    expect(conditionsIn(all)).to.deep.equal([all, inner, not, other]);
    expect(conditionsIn(undefined)).to.deep.equal([]);
  });
});
