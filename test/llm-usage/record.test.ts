import { expect } from 'chai';
import { PriceList } from '../../policies/llm-usage/price-list.ts';
import { usageRecord, type RecordParts } from '../../policies/llm-usage/record.ts';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import type { AnswerFacts } from '../../policies/shared/answer.ts';
import type { RefusalReason } from '../../policies/shared/reasons.ts';

const prices = new PriceList({ 'gpt-4o': { input: 1, output: 2 } });
const usage = { inputTokens: 10, outputTokens: 5, totalTokens: 15, details: {} };
const facts: AnswerFacts = { id: 'a', model: 'gpt-4o', usage, fault: null, cut: null };

function recordOf(parts: Partial<RecordParts>): UsageRecord {
  const usual: RecordParts = {
    id: 'r',
    startedAt: 0,
    endedAt: 1,
    requestId: null,
    provider: 'openai',
    requestedModel: 'gpt-4o',
    path: '/v1/chat/completions',
    apiEndpoint: null,
    consumerId: null,
    stream: true,
    status: 200,
    cacheType: null,
    cacheKey: null,
    providerStatus: 200,
    facts,
    cacheApart: false,
  };
  return usageRecord({ ...usual, ...parts }, (priced) => prices.find(priced));
}

describe('A usage record', () => {
  it('A record costs nothing where the provider takes nothing for answers without usage', () => {
    const free = { isFreeUncounted: true, facts: { ...facts, usage: null } };
    const nothing = { total_cost: 0, input_cost: 0, costs_calculation_caveat: null };
    expect(recordOf(free)).to.include({ ...nothing, billed: true, input_tokens: null });
    expect(recordOf({ ...free, cacheType: 'exact' })).to.include(nothing);
    const broken = { ...free, facts: { ...facts, usage: null, fault: 'error-in-body' as const } };
    for (const parts of [broken, { ...free, status: 429, providerStatus: 429 }]) {
      expect(recordOf(parts).total_cost).to.equal(null);
    }
    expect(recordOf({ isFreeUncounted: true }).total_cost).to.equal(20e-6);
  });

  it('A record has no caveat where the answer was read whole', () => {
    expect(recordOf({})).to.include({ total_cost: 20e-6, costs_calculation_caveat: null });
  });

  const causes: readonly (readonly [RefusalReason, RegExp])[] = [
    ['client-left', /^the client left before the end of the answer/],
    ['aborted', /^the upstream broke off the answer/],
    ['too-large', /^the answer is too large to read/],
    ['buffer-limit', /^there was no room left to read the answer/],
    ['encoding', /^the answer could not be decoded/],
  ];

  for (const [cut, words] of causes) {
    it(`A record says why no usage was seen: ${cut}`, () => {
      const { costs_calculation_caveat: caveat, total_cost: cost } = recordOf({
        facts: { ...facts, usage: null, fault: cut, cut },
      });
      expect(cost).to.equal(null);
      expect(caveat)
        .to.match(words)
        .and.to.match(/no usage was seen$/);
    });

    it(`A record prices the usage that was seen, and says that it may not be all: ${cut}`, () => {
      const { costs_calculation_caveat: caveat, total_cost: cost } = recordOf({
        facts: { ...facts, fault: cut, cut },
      });
      expect(cost).to.equal(20e-6);
      expect(caveat)
        .to.match(words)
        .and.to.match(/what came later is not counted$/);
    });
  }

  it('A record says what is wrong with an answer that was read whole and tells no usage', () => {
    const caveat = (fault: RefusalReason | null) =>
      recordOf({ facts: { ...facts, usage: null, fault, cut: null } }).costs_calculation_caveat;
    expect(caveat('malformed')).to.equal('the answer is not well formed, and no usage was seen');
    expect(caveat('error-in-body')).to.equal('the answer carries an error, and no usage was seen');
    expect(caveat('content-type')).to.match(/^the answer is neither JSON nor an event stream/);
    expect(caveat('no-body')).to.match(/^the answer has no body/);
    expect(caveat('finish-reason')).to.equal('the answer reports no usage');
    expect(caveat(null)).to.equal('the answer reports no usage');
    expect(recordOf({ facts: null }).costs_calculation_caveat).to.equal('the answer was not read');
  });

  it('A record says that a client left before the head, and that a failure was not billed', () => {
    const left = 'the client left before there was an answer';
    const gone: AnswerFacts = { ...facts, usage: null, fault: 'client-left', cut: 'client-left' };
    const none = { providerStatus: null, facts: null } as const;
    expect(recordOf({ ...none, status: 499 }).costs_calculation_caveat).to.equal(left);
    expect(recordOf({ ...none, facts: gone, status: 500 }).costs_calculation_caveat).to.equal(left);
    const failed = recordOf({ status: 502, providerStatus: 502 });
    expect(failed.costs_calculation_caveat).to.equal('nothing was billed');
  });

  it('A record of a hit costs what the call would have cost, terms and fees included', () => {
    const told = {
      ...usage,
      details: { web_search_requests: 1 },
      terms: ['service_tier flex'],
    };
    for (const cacheType of [null, 'exact', 'coalesced', 'stale'] as const) {
      const record = recordOf({
        requestedModel: 'gpt-5',
        facts: { ...facts, model: 'gpt-5', usage: told },
        cacheType,
        providerStatus: cacheType === null ? 200 : null,
      });
      expect(record.billed).to.equal(cacheType === null);
      expect(record.input_cost).to.equal((10 * 1.25 * 0.5) / 1e6);
      expect(record.total_cost).to.be.greaterThan(0.01);
      expect(record.costs_calculation_caveat).to.match(/service_tier flex.*web_search_requests/);
    }
  });
});
