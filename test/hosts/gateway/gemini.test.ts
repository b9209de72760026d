import { expect } from 'chai';
import { batch, blocked, events } from '../../fixtures/gemini.ts';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

describe("Gemini's own API through the gateway", () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let asked = 0;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: both() }) });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  const newModel = () => `gemini-${++asked}`;
  const body = { contents: [{ role: 'user', parts: [{ text: 'a question for Gemini' }] }] };
  const ask = (model: string, method: string, sent: object = body) =>
    post(`${gateway.url}/api/v1beta/models/${model}:${method}`, sent);

  it('The gateway replays a Gemini stream without alt=sse, which is an array, as it came', async () => {
    const model = newModel();
    const array = JSON.stringify(events, null, 2);
    upstream.answer(json(array, { 'content-type': 'application/json; charset=UTF-8' }));
    const replies = [
      await ask(model, 'streamGenerateContent'),
      await ask(model, 'streamGenerateContent'),
    ];
    expect(replies.map(({ text }) => text)).to.deep.equal([array, array]);
    expect(replies[1]?.headers).to.include({
      'x-cache': 'HIT (exact)',
      'content-type': 'application/json; charset=UTF-8',
    });
    for (const record of await gateway.recorded(model, 2)) {
      expect(record).to.include({ stream: false, input_tokens: 15, output_tokens: 53 });
      expect(record).to.include({ provider: 'google', model: 'gemini-3-flash-preview' });
    }
  });

  it("The gateway keeps Gemini's stream, array and JSON answer to one question apart", async () => {
    const model = newModel();
    const methods = [
      ['generateContent', json(answers.gemini.json)],
      ['streamGenerateContent?alt=sse', sse(answers.gemini.sse)],
      ['streamGenerateContent', json(JSON.stringify(events))],
    ] as const;
    for (const [method, answer] of methods) {
      upstream.answer(answer);
      expect((await ask(model, method)).headers['cache-status']).to.contain('fwd=miss');
      expect((await ask(model, method)).headers['x-cache']).to.equal('HIT (exact)');
    }
  });

  it('The gateway answers a batch of Gemini embeddings from the cache, priced by its model', async () => {
    upstream.answer(json(JSON.stringify(batch)));
    const part = (text: string) => ({ content: { parts: [{ text }] } });
    const sent = { requests: [part('one'), part('two')] };
    await ask('gemini-embedding-001', 'batchEmbedContents', sent);
    const hit = await ask('gemini-embedding-001', 'batchEmbedContents', sent);
    expect([hit.headers['x-cache'], hit.text]).to.deep.equal([
      'HIT (exact)',
      JSON.stringify(batch),
    ]);
    const [real, saved] = await gateway.recorded('gemini-embedding-001', 2);
    expect(real?.input_cost).to.be.greaterThan(0);
    expect(saved).to.include({ billed: false, input_cost: real?.input_cost });
  });

  it('The gateway stores no Gemini answer to a prompt that was blocked', async () => {
    const model = newModel();
    upstream.answer(json(JSON.stringify(blocked)));
    await ask(model, 'generateContent');
    expect((await ask(model, 'generateContent')).headers['cache-status']).to.contain('fwd=miss');
  });

  it('The gateway keeps answers of different query keys apart, and shows the keys nowhere', async () => {
    const model = newModel();
    upstream.answer(json(answers.gemini.json));
    const withKey = (key: string) => ask(model, `generateContent?key=${key}`);
    const [first, other, again] = [
      await withKey('AIza-secret-1'),
      await withKey('AIza-secret-2'),
      await withKey('AIza-secret-1'),
    ];
    expect(first.headers['cache-status']).to.contain('fwd=miss');
    expect(other.headers['cache-status']).to.contain('fwd=miss');
    expect(again.headers['x-cache']).to.equal('HIT (exact)');
    const scopes = [first, other].map(
      ({ headers }) => String(headers['x-cache-key']).split(':')[1] ?? '',
    );
    expect(scopes[0]).to.match(/^c/).and.to.not.equal(scopes[1]);
    // The provider gets it.
    expect(upstream.last.path).to.contain('key=AIza-secret-2');

    const records = await gateway.recorded(model, 3);
    expect(records[0]?.endpoint).to.equal(`/api/v1beta/models/${model}:generateContent`);
    const pages = ['stats', 'usage', 'entries', 'metrics'].map(async (page) =>
      (await fetch(`${gateway.adminUrl}/llm-cache/${page}`)).text(),
    );
    const explained = await fetch(`${gateway.adminUrl}/llm-cache/explain`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        path: `/api/v1beta/models/${model}:generateContent?key=AIza-secret-3`,
        apiEndpoint: 'api',
        body,
      }),
    });
    const explanation = await explained.text();
    expect(explanation).to.contain('?key');
    const told = [gateway.log, explanation, ...(await Promise.all(pages))].join('\n');
    expect(told).to.not.contain('AIza-secret');
  });

  it("The gateway answers only-if-cached for Gemini in Gemini's own error format", async () => {
    const url = `${gateway.url}/api/v1beta/models/${newModel()}:generateContent`;
    const reply = await post(url, body, { headers: { 'cache-control': 'only-if-cached' } });
    expect(reply.status).to.equal(504);
    const { error } = JSON.parse(reply.text) as { error: object };
    expect(error).to.include({ code: 504, status: 'DEADLINE_EXCEEDED' });
  });
});

describe('Rerankers and moderations through the gateway', () => {
  let upstream: Upstream;
  let gateway: Gateway;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { api: both() }),
      settings: { usage: { prices: { 'rerank-v3.5': { input: 0, search: 2 } } } },
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  it('The gateway records a rerank at the price of a search, and as saved on a hit', async () => {
    upstream.answer(json(answers.rerank.json));
    const sent = { model: 'rerank-v3.5', query: 'q', documents: ['a', 'b'] };
    for (let time = 1; time <= 2; time++) await post(`${gateway.url}/api/v2/rerank`, sent);
    const [real, saved] = await gateway.recorded('rerank-v3.5', 2);
    expect(real).to.include({ billed: true, total_cost: 0.002, provider: 'cohere' });
    expect(saved).to.include({ billed: false, total_cost: 0.002, cache_type: 'exact' });
    expect(saved?.raw_data).to.deep.equal({ search_units: 1 });
  });

  it('The gateway records a moderation as free', async () => {
    upstream.answer(json(answers.moderations.json));
    const sent = { model: 'omni-moderation-latest', input: 'Hi!' };
    for (let time = 1; time <= 2; time++) await post(`${gateway.url}/api/v1/moderations`, sent);
    for (const record of await gateway.recorded('omni-moderation-latest', 2)) {
      expect(record).to.include({ total_cost: 0, costs_calculation_caveat: null });
    }
  });
});
