import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { coders, json, sse, Upstream } from '../../support/upstream.ts';

const limit = (name: string) => ({
  'rate-limit': { action: { max: 2, windowMs: 600_000, delayMs: 0, rateLimitBy: name } },
});
const addToRequest = { 'request-transformer': { action: { body: { add: { seed: '7' } } } } };
const addToResponse = { 'response-transformer': { action: { body: { add: { added: "'yes'" } } } } };
const addHeader = {
  'response-transformer': { action: { headers: { add: { 'x-added': "'yes'" } } } },
};

describe('The policies among others in a pipeline', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        'limited-before': [limit('before'), ...both()],
        'limited-behind': [...both(), limit('behind')],
        'request-before': [addToRequest, ...both()],
        'request-between': [{ 'llm-usage': {} }, addToRequest, { 'llm-cache': {} }],
        'request-behind': [...both(), addToRequest],
        'response-before': [addToResponse, ...both()],
        'response-behind': [...both(), addToResponse],
        'header-before': [addHeader, ...both()],
        'header-behind': [...both(), addHeader],
        conditions: [
          { 'llm-usage': { condition: { name: 'llm-request', protocols: ['chat'] } } },
          {
            'llm-cache': [
              {
                condition: { name: 'llm-request', protocols: ['embeddings'] },
                action: { ttl: 10 },
              },
              {
                condition: { name: 'llm-request', paths: ['/conditions/*/chat/**'] },
                action: { ttl: 20 },
              },
              {
                condition: {
                  name: 'allOf',
                  conditions: [
                    { name: 'llm-request' },
                    { name: 'not', condition: { name: 'llm-no-cache' } },
                  ],
                },
                action: { ttl: 30 },
              },
            ],
          },
        ],
        terminated: [...both(), { terminate: { action: { statusCode: 200, message: '{}' } } }],
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });
  beforeEach(() => upstream.answer(json(answers.chat.json)));

  const newQuestion = () => ({ model: `model ${++question}`, messages: [] });
  const ask = (pipeline: string, body: object | string, headers = {}) =>
    post(`${gateway.url}/${pipeline}/v1/chat/completions`, body, { headers });

  it('A rate-limit before the cache counts hits too', async () => {
    const body = newQuestion();
    expect((await ask('limited-before', body)).status).to.equal(200);
    expect((await ask('limited-before', body)).headers['x-cache']).to.equal('HIT (exact)');
    expect((await ask('limited-before', body)).status).to.equal(429);
  });

  it('A rate-limit behind the cache counts only what reaches the provider', async () => {
    const body = newQuestion();
    await ask('limited-behind', body);
    for (let times = 0; times < 4; times++) {
      expect((await ask('limited-behind', body)).headers['x-cache']).to.equal('HIT (exact)');
    }
    expect((await ask('limited-behind', newQuestion())).status).to.equal(200);
    const refused = newQuestion();
    const reply = await ask('limited-behind', refused);
    expect(reply.status).to.equal(429);
    expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=miss');
    const [record] = await gateway.recorded(refused.model, 1);
    expect(record).to.include({ status: 429, billed: false, cache_type: null });
  });

  for (const place of ['request-before', 'request-between']) {
    it(`A request-transformer, placed ${place}, changes the body that is keyed and sent`, async () => {
      const body = newQuestion();
      await ask(place, body);
      expect(JSON.parse(upstream.last.body.toString())).to.deep.equal({ ...body, seed: 7 });
      const same = await ask(place, { seed: 8, ...body });
      expect(same.headers['x-cache']).to.equal('HIT (exact)');
      const [record] = await gateway.recorded(body.model, 1);
      expect(record).to.include({ requested_model: body.model, billed: true, input_tokens: 11 });
    });
  }

  it('A request-transformer behind the cache changes what is sent, but not the key', async () => {
    const body = newQuestion();
    await ask('request-behind', body);
    expect(JSON.parse(upstream.last.body.toString())).to.deep.equal({ ...body, seed: 7 });
    expect((await ask('request-behind', { seed: 8, ...body })).headers['x-cache']).to.equal(
      undefined,
    );
    expect((await ask('request-behind', body)).headers['x-cache']).to.equal('HIT (exact)');
  });

  const warned = (text: string) =>
    gateway.log
      .split('\n')
      .filter((line) => line.includes('warn: pipeline') && line.includes(text))
      .map((line) => /pipeline "(.*?)"/.exec(line)?.[1]);

  it('The gateway warns at start of orders that are likely mistakes, and of no others', () => {
    expect(warned('rewrites the body after')).to.deep.equal(['request-between', 'request-behind']);
    expect(warned(' stands after ')).to.deep.equal([]);
  });

  it('The gateway warns once at start of each pipeline with anonymous callers', () => {
    const open = warned('no policy authenticates before llm-cache');
    expect(open).to.include.members(['limited-before', 'conditions', 'terminated']);
    expect(new Set(open)).to.have.length(open.length);
  });

  it('A response-transformer behind the cache changes what is stored', async () => {
    const body = newQuestion();
    const miss = await ask('response-behind', body);
    expect(JSON.parse(miss.text)).to.include({ added: 'yes', id: 'chatcmpl-json' });
    const hit = await ask('response-behind', body);
    expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', miss.text]);
  });

  it('A response-transformer before the cache changes hits too', async () => {
    const body = newQuestion();
    const miss = await ask('response-before', body);
    expect(JSON.parse(miss.text)).to.include({ added: 'yes' });
    const hit = await ask('response-before', body);
    expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', miss.text]);
    const [real, synthetic] = await gateway.recorded(body.model, 2);
    expect([real?.total_tokens, synthetic?.total_tokens]).to.deep.equal([16, 16]);
  });

  it('A response-transformer before the cache passes streams as they are', async () => {
    upstream.answer(sse(answers.chat.sse));
    const body = { ...newQuestion(), stream: true };
    await ask('response-before', body);
    const hit = await ask('response-before', body);
    expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', answers.chat.sse]);
  });

  for (const place of ['header-before', 'header-behind']) {
    it(`A header transformer, placed ${place}, leaves the headers of the cache alone`, async () => {
      const body = newQuestion();
      const miss = await ask(place, body);
      expect(miss.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      expect(miss.headers['x-added']).to.equal('yes');
      const hit = await ask(place, body);
      expect(hit.headers['x-cache']).to.equal('HIT (exact)');
      expect(hit.headers['x-added']).to.equal(place === 'header-before' ? 'yes' : undefined);
    });
  }

  it('The first llm-cache step whose condition matches decides', async () => {
    const ttlOf = async (path: string, headers = {}) => {
      const body = newQuestion();
      const url = `${gateway.url}/conditions${path}`;
      await post(url, body, { headers });
      const reply = await post(url, body, { headers });
      return /ttl=(\d+)/.exec(String(reply.headers['cache-status']))?.[1] ?? null;
    };
    upstream.answer(json(answers.embeddings.json));
    expect(await ttlOf('/v1/embeddings')).to.equal('10');
    upstream.answer(json(answers.chat.json));
    expect(await ttlOf('/v1/chat/completions')).to.equal('20');
    upstream.answer(json(answers.completions.json));
    expect(await ttlOf('/v1/completions')).to.equal('30');
    expect(await ttlOf('/v1/completions', { 'cache-control': 'no-cache' })).to.equal(null);
  });

  it('An answer that no provider gave is not billed', async () => {
    const body = newQuestion();
    expect((await ask('terminated', body)).text).to.equal('{}');
    const [record] = await gateway.recorded(body.model, 1);
    expect(record).to.include({ status: 200, billed: false, total_tokens: null });
  });

  it('A compressed answer is stored decoded behind a policy that leaves the body alone', async () => {
    upstream.answer(json(coders.gzip(answers.chat.json), { 'content-encoding': 'gzip' }));
    const body = newQuestion();
    await ask('header-behind', body);
    await gateway.recorded(body.model, 1);
    expect((await ask('header-behind', body)).text).to.equal(answers.chat.json);
  });
});
