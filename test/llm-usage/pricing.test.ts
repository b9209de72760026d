import { expect } from 'chai';
import * as fc from 'fast-check';
import { answerCost } from '../../policies/llm-usage/answer-cost.ts';
import { PriceList } from '../../policies/llm-usage/price-list.ts';
import { costsOf } from '../../policies/llm-usage/pricing.ts';
import type { Rates } from '../../policies/llm-usage/rates.ts';

const counts = (
  inputTokens: number | null,
  outputTokens: number | null,
  details: Readonly<Record<string, number>> = {},
  totalTokens: number | null = (inputTokens ?? 0) + (outputTokens ?? 0),
) => ({ inputTokens, outputTokens, totalTokens, details });
const at = (rates: Rates) => ({ rates: () => rates });
const within = { cacheApart: false };
const apart = { cacheApart: true };

describe('The price of an answer', () => {
  it('A price of 1000 input (400 cached) and 500 output tokens at 3, 0.3 and 15 is 0.00942 USD', () => {
    const usage = counts(1000, 500, { cached_tokens: 400 });
    expect(costsOf(usage, at({ input: 3, cachedInput: 0.3, output: 15 }), within)).to.deep.equal({
      input: 0.00192,
      output: 0.0075,
      total: 0.00942,
      caveat: null,
    });
  });

  it('A price adds cached and cache-write tokens to the input where the provider counts them apart', () => {
    const details = { cached_tokens: 400, cache_write_tokens: 100, cache_write_1h_tokens: 40 };
    const rates = { input: 3, cachedInput: 0.3, cacheWrite: 3.75, cacheWrite1h: 6, output: 15 };
    const { input } = costsOf(counts(600, 500, details), at(rates), apart);
    expect(input).to.equal((600 * 3 + 400 * 0.3 + 60 * 3.75 + 40 * 6) / 1e6);
  });

  it('A price adds cached tokens to the input where they are more than it, and says so', () => {
    const usage = counts(10, 0, { cached_tokens: 400 });
    expect(costsOf(usage, at({ input: 1, cachedInput: 0.5, output: 1 }), within)).to.include({
      input: 210 / 1e6,
      caveat: 'the cached tokens exceed the input and are priced on top of it',
    });
  });

  it('A price covers the parts of a total that is less than they are, and says so', () => {
    const costs = costsOf(counts(10, 20, {}, 5), at({ input: 1, output: 2 }), within);
    expect(costs).to.deep.include({
      total: 50 / 1e6,
      caveat: 'the total is less than the sum of its parts, which is priced',
    });
  });

  it('A price uses the common rate for cached, written, reasoning and image tokens without their own', () => {
    const details = {
      cached_tokens: 1,
      cache_write_tokens: 1,
      input_image_tokens: 1,
      reasoning_tokens: 2,
      output_image_tokens: 1,
    };
    const costs = costsOf(counts(10, 10, details), at({ input: 1, output: 2 }), within);
    expect(costs).to.deep.equal({ input: 1e-5, output: 2e-5, total: 3e-5, caveat: null });
  });

  it('A price uses separate rates for reasoning and audio where there are some', () => {
    const details = { reasoning_tokens: 4, output_audio_tokens: 3, input_audio_tokens: 5 };
    const rates = { input: 1, inputAudio: 10, output: 2, reasoning: 3, outputAudio: 20 };
    const costs = costsOf(counts(10, 10, details), at(rates), within);
    expect(costs.input).to.equal(55e-6);
    expect(costs.output).to.equal((3 * 2 + 4 * 3 + 3 * 20) / 1e6);
  });

  it('A price adds reasoning to the output where the total shows that it is apart', () => {
    const usage = counts(10, 5, { reasoning_tokens: 100 }, 115);
    expect(costsOf(usage, at({ input: 1, output: 2 }), within).output).to.equal(210e-6);
  });

  it('A price is null where audio has no rate, and says so', () => {
    const usage = counts(10, 10, { output_audio_tokens: 3 });
    expect(costsOf(usage, at({ input: 1, output: 2 }), within)).to.deep.equal({
      input: 1e-5,
      output: null,
      total: null,
      caveat: 'no price for output_audio_tokens',
    });
  });

  it('A price says what was used beside tokens and is not in it', () => {
    const usage = counts(10, 10, { web_search_requests: 2, server_tool_calls: 0 });
    expect(costsOf(usage, at({ input: 1, output: 2 }), within)).to.include({
      total: 3e-5,
      caveat: 'without web_search_requests',
    });
  });

  it('A price adds the listed fees of tools to the total, and says which', () => {
    const usage = counts(10, 10, { web_search_requests: 2, file_search_calls: 3, sources_used: 1 });
    const rates = { input: 1, output: 2, webSearch: 10, fileSearch: 2.5 };
    expect(costsOf(usage, at(rates), within)).to.deep.equal({
      input: 1e-5,
      output: 2e-5,
      total: 3e-5 + 2 * 0.01 + 3 * 0.0025,
      caveat:
        'the total has web_search_requests at the list price; the total has file_search_calls at the list price; without sources_used',
    });
    const cited = costsOf(
      counts(1, 1, { citation_tokens: 1e6 }),
      at({ input: 0, output: 0, citation: 2 }),
      within,
    );
    expect(cited.total).to.equal(2);
  });

  it('A price of a reranker, which counts no tokens, is that of its searches', () => {
    const usage = {
      inputTokens: null,
      outputTokens: null,
      totalTokens: null,
      details: { search_units: 3 },
    };
    expect(costsOf(usage, at({ input: 0, search: 2 }), within)).to.deep.equal({
      input: 0,
      output: 0,
      total: 0.006,
      caveat: 'the total has search_units at the list price',
    });
    expect(costsOf(usage, at({ input: 0 }), within)).to.include({
      total: 0,
      caveat: 'without search_units',
    });
  });

  it('A price names a fee that it leaves out', () => {
    const price = { ...at({ input: 1, output: 1 }), without: 'the fee of the request' };
    expect(costsOf(counts(1, 1), price, within).caveat).to.equal('without the fee of the request');
  });

  it('A price multiplies by the factor of a known tier, and is null for an unknown one', () => {
    const factors = { 'service_tier flex': 0.5, 'inference_geo us': 1.1 };
    const price = { ...at({ input: 1, output: 2 }), factors };
    const cost = (...terms: string[]) => costsOf({ ...counts(10, 10), terms }, price, within);
    expect(cost('service_tier flex')).to.deep.equal({
      input: 5e-6,
      output: 1e-5,
      total: 15e-6,
      caveat: 'service_tier flex: 0.5 times the list price',
    });
    expect(cost('service_tier flex', 'inference_geo us').input).to.equal(5.5e-6);
    for (const term of ['service_tier priority', 'speed fast', 'constructor', '__proto__']) {
      expect(cost(term, 'service_tier flex')).to.deep.include({
        input: null,
        output: null,
        total: null,
      });
      expect(cost(term).caveat).to.equal(`no price for ${term}`);
    }
    const without = costsOf({ ...counts(1, 1), terms: ['speed fast'] }, at({ input: 1 }), within);
    expect(without.total).to.equal(null);
  });

  it('A price counts tokens that only the total includes as output, and says so', () => {
    const usage = counts(20, 198, {}, 623);
    expect(costsOf(usage, at({ input: 1, output: 2 }), within)).to.deep.equal({
      input: 20e-6,
      output: (603 * 2) / 1e6,
      total: (20 + 603 * 2) / 1e6,
      caveat: '405 tokens that only the total includes are priced as output',
    });
  });

  it('A price takes no cached tokens for output that the total counts once more', () => {
    const details = { cached_tokens: 400, cache_write_tokens: 50 };
    const rates = { input: 1, cachedInput: 0.5, output: 2 };
    const cost = (input: number, total: number, counting: { cacheApart: boolean }) =>
      costsOf(counts(input, 10, details, total), at(rates), counting);
    expect(cost(100, 560, apart)).to.include({ output: 20e-6, caveat: null });
    expect(cost(100, 560, within)).to.include({ output: 20e-6, caveat: null });
    expect(cost(1000, 1460, within)).to.include({
      output: 20e-6,
      caveat:
        'the cached tokens are priced as part of the input, although the total has them on top',
    });
  });

  it('A price adds reasoning that exceeds the output to it, and says so', () => {
    const usage = counts(33, 7163, { reasoning_tokens: 73_997 });
    const costs = costsOf(usage, at({ input: 0, output: 8, reasoning: 3 }), within);
    expect(costs.output).to.equal((7163 * 8 + 73_997 * 3) / 1e6);
    expect(costs.caveat).to.equal('reasoning_tokens exceed the output and are priced on top of it');
  });

  it('A price of a compaction goes by the length of its own input', () => {
    const usage = counts(203_000, 4500, {
      cached_tokens: 1010,
      compaction_input_tokens: 180_000,
      compaction_cached_tokens: 1000,
      compaction_output_tokens: 3500,
    });
    const tiered = {
      rates: (tokens: number) => ({ input: tokens > 200_000 ? 6 : 3, cachedInput: 1, output: 15 }),
    };
    expect(costsOf(usage, tiered, apart)).to.deep.equal({
      input: (203_000 * 3 + 1010) / 1e6,
      output: (4500 * 15) / 1e6,
      total: (203_000 * 3 + 1010 + 4500 * 15) / 1e6,
      caveat: null,
    });
  });

  it('A price needs no output where there is none, as of embeddings', () => {
    expect(costsOf(counts(100, null, {}, 100), at({ input: 0.02 }), within)).to.deep.equal({
      input: 2e-6,
      output: 0,
      total: 2e-6,
      caveat: null,
    });
  });

  it('A price takes what the total leaves for a count that is missing', () => {
    const costs = costsOf(counts(null, 40, {}, 100), at({ input: 1, output: 2 }), within);
    expect(costs).to.include({ input: 60e-6, output: 80e-6 });
  });

  it('A price is null where the answer tells no usage', () => {
    const costs = costsOf(counts(null, null, {}, null), at({ input: 1 }), within);
    expect(costs).to.include({ total: null, caveat: 'the answer reports no usage' });
  });

  it('A price at equal rates is that of all tokens, whatever the parts', () => {
    const part = fc.nat(1000);
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), part, part, part, part, (input, output, ...parts) => {
        const [cached, audio, reasoning, spoken] = parts;
        fc.pre(cached <= input && reasoning <= output);
        const details = {
          cached_tokens: cached,
          input_audio_tokens: audio,
          reasoning_tokens: reasoning,
          output_audio_tokens: spoken,
        };
        const rates = { input: 1, inputAudio: 1, output: 1, outputAudio: 1 };
        const { total } = costsOf(counts(input, output, details), at(rates), within);
        expect(total).to.equal((input + output) / 1e6);
      }),
    );
  });
});

describe('The price list', () => {
  const rates = (list: PriceList, model: string | null, requestedModel = model, tokens = 1) =>
    list.find({ provider: 'openai', model, requestedModel })?.rates(tokens);
  const own = (prices: Readonly<Record<string, Rates>>) => new PriceList(prices);

  it('The price list knows models of many providers, whatever the operator calls the provider', () => {
    const list = own({});
    const models = ['gpt-4o', 'claude-sonnet-4-5-20250929', 'text-embedding-3-small', 'grok-4'];
    for (const model of models) {
      expect(rates(list, model)?.input, model).to.be.above(0);
      const price = list.find({ provider: 'our own name', model, requestedModel: null });
      expect(price?.rates(1).input, model).to.be.above(0);
    }
  });

  it('The price list has no price for a model that is not listed', () => {
    const list = own({});
    for (const model of ['nobody-1', 'gpt', '', 'constructor', '__proto__', 'x'.repeat(5000)]) {
      expect(rates(list, model), model.slice(0, 20)).to.equal(undefined);
    }
    expect(rates(list, null)).to.equal(undefined);
  });

  it("The price list prefers the operator's prices, by the answer's model, then the request's", () => {
    const list = own({ 'gpt-4o': { input: 1 }, mine: { input: 2 } });
    expect(rates(list, 'gpt-4o')).to.deep.equal({ input: 1 });
    expect(rates(list, 'gpt-4o-2024-08-06', 'gpt-4o')).to.deep.equal({ input: 1 });
    expect(rates(list, 'gpt-4o', 'mine')).to.deep.equal({ input: 1 });
    expect(rates(list, null, 'mine')).to.deep.equal({ input: 2 });
  });

  it('The price list goes by the longest listed prefix of either name', () => {
    const list = own({ llama: { input: 1 }, 'llama-local': { input: 2 } });
    expect(rates(list, 'llama-local-70b')).to.deep.equal({ input: 2 });
    expect(rates(list, 'llama-other')).to.deep.equal({ input: 1 });
    expect(rates(list, 'else', 'llama-other')).to.deep.equal({ input: 1 });
    expect(rates(own({}), 'gpt-4o-of-our-own')).to.deep.equal(rates(own({}), 'gpt-4o'));
  });

  it('The price list prices a dated model as the operator prices the model, but not its mini version', () => {
    const list = own({ 'gpt-4o': { input: 1 } });
    expect(rates(list, 'gpt-4o-2024-11-20')).to.deep.equal({ input: 1 });
    expect(rates(list, 'gpt-4o-mini-2024-07-18')).to.deep.equal(rates(own({}), 'gpt-4o-mini'));
  });

  it('The price list prices a long input by the tier that it reaches', () => {
    const list = own({});
    const [short, long] = [1000, 900_000].map((n) => rates(list, 'gemini-2.5-pro', null, n));
    expect(long?.input).to.be.above(short?.input ?? Infinity);
  });

  it("The price list knows the fees of tools, and some providers' factors for tiers", () => {
    const list = own({});
    const find = (provider: string, model: string) =>
      list.find({ provider, model, requestedModel: null });
    expect(find('openai', 'gpt-5')?.rates(1)).to.include({ webSearch: 10, fileSearch: 2.5 });
    expect(find('openai', 'gpt-5')?.factors).to.include({ 'service_tier flex': 0.5 });
    expect(find('anthropic', 'claude-opus-4-8')?.factors).to.include({ 'inference_geo us': 1.1 });
    expect(find('openai', 'gpt-5')?.factors).to.not.have.property('service_tier priority');
    expect(find('perplexity', 'sonar')?.without).to.equal('the fee of the request');
    const mine = own({ 'gpt-5': { input: 1 } });
    expect(
      mine.find({ provider: 'openai', model: 'gpt-5', requestedModel: null })?.factors,
    ).to.equal(undefined);
  });

  it('The price list bounds the names that it looks up, and survives hostile ones', () => {
    const list = own({ ['x'.repeat(256)]: { input: 1 } });
    const known = rates(own({}), 'gpt-4o');
    expect(rates(list, `gpt-4o${'-.'.repeat(120)}`)).to.deep.equal(known);
    expect(rates(list, `gpt-4o${'-'.repeat(300)}`)).to.deep.equal(known);
    for (const hostile of [
      'a-'.repeat(5000),
      '-'.repeat(5000),
      '(a+)+$'.repeat(900),
      '\u0130'.repeat(300),
    ]) {
      expect(rates(list, hostile), hostile.slice(0, 9)).to.equal(undefined);
    }
    expect(rates(list, 'x'.repeat(5000))).to.deep.equal({ input: 1 });
  });

  it('The price list looks a name up once a minute, and holds a bounded number of them', () => {
    let now = 0;
    const list = new PriceList({}, () => now);
    const priced = { provider: 'openai', model: 'gpt-4o', requestedModel: null };
    const first = list.find(priced);
    expect(list.find(priced)).to.equal(first);
    for (let n = 0; n < 1500; n++) rates(list, `gpt-4o-${n}`);
    expect(list.find(priced)).to.not.equal(first);
    const second = list.find(priced);
    now += 61_000;
    expect(list.find(priced)).to.not.equal(second);
  });
});

describe('The cost of a stored answer', () => {
  const answer = {
    protocol: 'chat',
    model: 'm-1',
    requestedModel: 'm',
    usage: counts(1000, 500),
  } as const;
  const prices = new PriceList({ m: { input: 3, output: 15 } });

  it('The cost of a stored answer is its price by the list', () => {
    expect(answerCost(answer, prices)).to.equal(0.0105);
  });

  it('The cost of a stored answer is unknown without usage or without a price', () => {
    expect(answerCost({ ...answer, usage: null }, prices)).to.equal(null);
    const unlisted = { ...answer, model: 'x-9-none', requestedModel: null };
    expect(answerCost(unlisted, prices)).to.equal(null);
    const halfPriced = new PriceList({ m: { input: 3 } });
    expect(answerCost(answer, halfPriced)).to.equal(null);
  });
});
