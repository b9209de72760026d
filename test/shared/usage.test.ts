import { expect } from 'chai';
import { PrometheusSink } from '../../policies/llm-usage/sinks/prometheus.ts';
import { usageRecord } from '../../policies/llm-usage/record.ts';
import { readUsage, type Usage, UsageParts } from '../../policies/shared/usage.ts';
import { Registry } from 'prom-client';
import { usage as recordOf } from '../support/ledger-contract.ts';

/** What stands where a count belongs, and cannot be one. */
const absurd: readonly unknown[] = [
  -1,
  -5,
  0.5,
  1.5,
  1e9 + 1,
  1e15,
  2 ** 53,
  Number.MAX_SAFE_INTEGER,
  1e308,
  '9',
  true,
  [7],
  { count: 7 },
];

describe('The usage in an answer', () => {
  for (const name of [
    'prompt_tokens',
    'completion_tokens',
    'input_tokens',
    'output_tokens',
    'total_tokens',
  ]) {
    it(`The usage of an answer is unknown where ${name} is not a count, whatever the others are`, () => {
      for (const count of absurd) {
        const told = { prompt_tokens: 11, completion_tokens: 2, total_tokens: 13, [name]: count };
        expect(readUsage(told), JSON.stringify(count)).to.equal(null);
      }
    });
  }

  it('The usage of a stream is unknown where one of its parts is not a count', () => {
    const parts = new UsageParts();
    parts.add({ input_tokens: 11, output_tokens: 1 });
    parts.add({ output_tokens: -5 });
    parts.add({ output_tokens: 7 });
    expect(parts.read()).to.equal(null);
  });

  it('The usage of an answer may leave counts out, and may count up to a billion', () => {
    expect(readUsage({ prompt_tokens: 1e9, completion_tokens: null })).to.include({
      inputTokens: 1e9,
      outputTokens: null,
      totalTokens: null,
    });
  });

  it('The usage of an answer is known without a detail that is not a count', () => {
    for (const count of absurd) {
      const told = { prompt_tokens: 11, completion_tokens: 2, cached_tokens: count };
      expect(readUsage(told)?.details, JSON.stringify(count)).to.deep.equal({});
    }
  });
});

describe('The record of a request', () => {
  const made = (usage: Usage) =>
    usageRecord(
      {
        id: 'one',
        startedAt: 0,
        endedAt: 5,
        requestId: null,
        provider: 'openai',
        requestedModel: 'gpt-4o',
        path: '/v1/chat/completions',
        apiEndpoint: null,
        consumerId: null,
        stream: false,
        status: 200,
        cacheType: 'exact',
        cacheKey: null,
        providerStatus: null,
        facts: { id: null, model: 'gpt-4o', usage, fault: null, cut: null },
        cacheApart: false,
      },
      () => ({ rates: () => ({ input: 1, output: 1 }) }),
    );
  const sound: Usage = {
    inputTokens: 11,
    outputTokens: 2,
    totalTokens: 13,
    details: { cached_tokens: 4 },
  };

  it('A record has no count or price that cannot be true, whatever a store returned', () => {
    for (const count of [-1, 1.5, 1e15, Number.MAX_SAFE_INTEGER, Number.NaN, Infinity]) {
      for (const name of ['inputTokens', 'outputTokens', 'totalTokens']) {
        const record = made({ ...sound, [name]: count });
        expect(record, `${name} ${count}`).to.include({
          input_tokens: null,
          output_tokens: null,
          total_tokens: null,
          total_cost: null,
        });
      }
      const record = made({ ...sound, details: { cached_tokens: count, reasoning_tokens: 1 } });
      expect(record.raw_data).to.deep.equal({ reasoning_tokens: 1 });
      expect(record.total_cost).to.equal(0.000_013);
    }
  });
});

describe('The metrics of costs', () => {
  const costs = async (...all: readonly (number | null)[]) => {
    const registry = new Registry();
    const sink = new PrometheusSink(registry);
    for (const cost of all) sink.record(recordOf({ total_cost: cost }));
    const text = await registry.metrics();
    const read = (name: string) => new RegExp(`^${name}\\{[^}]*\\} (.*)$`, 'm').exec(text)?.[1];
    return [read('llm_usage_cost_usd_total'), read('llm_usage_unpriced_requests_total')];
  };

  it('The cost metrics add up to the costs of the records, without the errors of doubles', async () => {
    expect(await costs(0.1, 0.2, 1e-12)).to.deep.equal(['0.300000000001', undefined]);
  });

  it('The cost metrics count a cost that cannot be true as unpriced', async () => {
    expect(await costs(0.1, 1e300, -1, null)).to.deep.equal(['0.1', '3']);
  });
});
