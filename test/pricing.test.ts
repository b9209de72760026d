import { expect } from 'chai';
import * as fc from 'fast-check';
import { PriceList } from '../policies/llm-usage/price-list.ts';
import { costsOf } from '../policies/llm-usage/pricing.ts';
import type { Rates } from '../policies/llm-usage/rates.ts';

const counts = (
  inputTokens: number | null,
  outputTokens: number | null,
  details: Readonly<Record<string, number>> = {},
  totalTokens: number | null = (inputTokens ?? 0) + (outputTokens ?? 0),
) => ({ inputTokens, outputTokens, totalTokens, details });
const at = (rates: Rates) => ({ rates: () => rates });
const within = { cacheApart: false };
const apart = { cacheApart: true };

describe('the price of an answer', () => {
  it('is what 1000 input tokens, 400 of them cached, and 500 output tokens cost at 3, 0.3 and 15', () => {
    const usage = counts(1000, 500, { cached_tokens: 400 });
    expect(costsOf(usage, at({ input: 3, cachedInput: 0.3, output: 15 }), within)).to.deep.equal({
      input: 0.00192,
      output: 0.0075,
      total: 0.00942,
      caveat: null,
    });
  });

  it('counts cached and cache-write tokens on top where the provider does, an hour by its own rate', () => {
    const details = { cached_tokens: 400, cache_write_tokens: 100, cache_write_1h_tokens: 40 };
    const rates = { input: 3, cachedInput: 0.3, cacheWrite: 3.75, cacheWrite1h: 6, output: 15 };
    const { input } = costsOf(counts(600, 500, details), at(rates), apart);
    expect(input).to.equal((600 * 3 + 400 * 0.3 + 60 * 3.75 + 40 * 6) / 1e6);
  });

  it('takes cached tokens that are more than the input for tokens on top of it', () => {
    const usage = counts(10, 0, { cached_tokens: 400 });
    expect(costsOf(usage, at({ input: 1, cachedInput: 0.5, output: 1 }), within).input).to.equal(
      210 / 1e6,
    );
  });

  it('has cached, written, reasoning and image tokens at the common rate where they have none', () => {
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

  it('has reasoning and audio at rates of their own', () => {
    const details = { reasoning_tokens: 4, output_audio_tokens: 3, input_audio_tokens: 5 };
    const rates = { input: 1, inputAudio: 10, output: 2, reasoning: 3, outputAudio: 20 };
    const costs = costsOf(counts(10, 10, details), at(rates), within);
    expect(costs.input).to.equal(55e-6);
    expect(costs.output).to.equal((3 * 2 + 4 * 3 + 3 * 20) / 1e6);
  });

  it('counts reasoning that a provider tells beside its output, as the total shows', () => {
    const usage = counts(10, 5, { reasoning_tokens: 100 }, 115);
    expect(costsOf(usage, at({ input: 1, output: 2 }), within).output).to.equal(210e-6);
  });

  it('is null where audio has no rate, and says so', () => {
    const usage = counts(10, 10, { output_audio_tokens: 3 });
    expect(costsOf(usage, at({ input: 1, output: 2 }), within)).to.deep.equal({
      input: 1e-5,
      output: null,
      total: null,
      caveat: 'no price for output_audio_tokens',
    });
  });

  it('says what was used beside tokens and is not in it', () => {
    const usage = counts(10, 10, { web_search_requests: 2, server_tool_calls: 0 });
    expect(costsOf(usage, at({ input: 1, output: 2 }), within)).to.include({
      total: 3e-5,
      caveat: 'without web_search_requests',
    });
  });

  it('needs no output where there is none, as of embeddings', () => {
    expect(costsOf(counts(100, null, {}, 100), at({ input: 0.02 }), within)).to.deep.equal({
      input: 2e-6,
      output: 0,
      total: 2e-6,
      caveat: null,
    });
  });

  it('takes what the total leaves for the count that is missing', () => {
    const costs = costsOf(counts(null, 40, {}, 100), at({ input: 1, output: 2 }), within);
    expect(costs).to.include({ input: 60e-6, output: 80e-6 });
  });

  it('is null where the answer tells nothing', () => {
    const costs = costsOf(counts(null, null, {}, null), at({ input: 1 }), within);
    expect(costs).to.include({ total: null, caveat: 'the answer tells no usage' });
  });

  it('is the same for all rates alike as for the count of all tokens, whatever the parts', () => {
    const part = fc.nat(1000);
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(5000), part, part, part, part, (input, output, ...parts) => {
        const [cached, audio, reasoning, spoken] = parts;
        fc.pre(cached <= input);
        const details = {
          cached_tokens: cached,
          input_audio_tokens: audio,
          reasoning_tokens: reasoning,
          output_audio_tokens: spoken,
        };
        const rates = { input: 1, inputAudio: 1, output: 1, outputAudio: 1 };
        fc.pre(reasoning === 0 || input + output !== input + output + reasoning);
        const { total } = costsOf(counts(input, output, details), at(rates), within);
        expect(total).to.equal((input + output) / 1e6);
      }),
    );
  });
});

describe('the price list', () => {
  const rates = (list: PriceList, model: string | null, requestedModel = model, tokens = 1) =>
    list.find({ provider: 'openai', model, requestedModel })?.rates(tokens);
  const own = (prices: Readonly<Record<string, Rates>>) => new PriceList(prices);

  it('knows models of many providers, whatever the operator calls the provider', () => {
    const list = own({});
    const models = ['gpt-4o', 'claude-sonnet-4-5-20250929', 'text-embedding-3-small', 'grok-4'];
    for (const model of models) {
      expect(rates(list, model)?.input, model).to.be.above(0);
      const price = list.find({ provider: 'our own name', model, requestedModel: null });
      expect(price?.rates(1).input, model).to.be.above(0);
    }
  });

  it('has no price for a model that nobody lists', () => {
    const list = own({});
    for (const model of ['nobody-1', 'gpt', '', 'constructor', '__proto__', 'x'.repeat(5000)]) {
      expect(rates(list, model), model.slice(0, 20)).to.equal(undefined);
    }
    expect(rates(list, null)).to.equal(undefined);
  });

  it("has the operator's price before its own, by the answer's model, then the request's", () => {
    const list = own({ 'gpt-4o': { input: 1 }, mine: { input: 2 } });
    expect(rates(list, 'gpt-4o')).to.deep.equal({ input: 1 });
    expect(rates(list, 'gpt-4o-2024-08-06', 'gpt-4o')).to.deep.equal({ input: 1 });
    expect(rates(list, 'gpt-4o', 'mine')).to.deep.equal({ input: 1 });
    expect(rates(list, null, 'mine')).to.deep.equal({ input: 2 });
  });

  it('goes by the longest listed beginning of either name', () => {
    const list = own({ llama: { input: 1 }, 'llama-local': { input: 2 } });
    expect(rates(list, 'llama-local-70b')).to.deep.equal({ input: 2 });
    expect(rates(list, 'llama-other')).to.deep.equal({ input: 1 });
    expect(rates(list, 'else', 'llama-other')).to.deep.equal({ input: 1 });
    expect(rates(own({}), 'gpt-4o-of-our-own')).to.deep.equal(rates(own({}), 'gpt-4o'));
  });

  it('prices a dated model as the operator prices the model, and not its little sister', () => {
    const list = own({ 'gpt-4o': { input: 1 } });
    expect(rates(list, 'gpt-4o-2024-11-20')).to.deep.equal({ input: 1 });
    expect(rates(list, 'gpt-4o-mini-2024-07-18')).to.deep.equal(rates(own({}), 'gpt-4o-mini'));
  });

  it('prices a long input by the tier that it reaches', () => {
    const list = own({});
    const [short, long] = [1000, 900_000].map((n) => rates(list, 'gemini-2.5-pro', null, n));
    expect(long?.input).to.be.above(short?.input ?? Infinity);
  });

  it('looks a name up once a minute, and holds a bounded number of them', () => {
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
