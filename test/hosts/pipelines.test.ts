import { expect } from 'chai';
import { nextPolicy, readPipelines } from '../../policies/hosts/pipelines.ts';

describe('The policy next to one', () => {
  const conditional = { proxy: [{ condition: { name: 'always' }, action: {} }] };
  const twice = { 'llm-cache': [{ action: {} }, { action: {} }] };
  const cases: readonly [
    title: string,
    policies: unknown[],
    policy: string,
    next: string | null,
  ][] = [
    ['the next step', [{ 'llm-usage': [] }, { 'llm-cache': [] }], 'llm-usage', 'llm-cache'],
    ['the proxy behind it', [{ 'llm-cache': [] }, { proxy: [] }], 'llm-cache', 'proxy'],
    [
      "the proxy behind it and the gateway's own policies",
      [{ 'key-auth': [] }, { 'rate-limit': [] }, { 'llm-cache': [] }, { proxy: [] }],
      'llm-cache',
      'proxy',
    ],
    ['none at the end of a pipeline', [{ 'llm-cache': [] }], 'llm-cache', null],
    ['none behind a condition', [{ 'llm-cache': [] }, conditional], 'llm-cache', null],
    ['none of two that differ', [twice, { proxy: [] }], 'llm-cache', null],
    [
      'not the proxy where a policy of another plugin, which may answer late, came before',
      [{ 'my-timeout': [] }, { 'llm-cache': [] }, { proxy: [] }],
      'llm-cache',
      null,
    ],
    [
      'the cache where a policy of another plugin came before',
      [{ 'my-timeout': [] }, { 'llm-usage': [] }, { 'llm-cache': [] }],
      'llm-usage',
      'llm-cache',
    ],
  ];
  for (const [title, policies, policy, next] of cases) {
    it(`The policy next to one is ${title}`, () => {
      const [pipeline] = readPipelines({ pipelines: { api: { policies } } });
      expect(pipeline && nextPolicy(pipeline, policy)).to.equal(next);
    });
  }
});
