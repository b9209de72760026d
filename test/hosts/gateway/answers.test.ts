import { expect } from 'chai';
import supertest from 'supertest';
import { answers, requests } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { coders, json, sse, Upstream } from '../../support/upstream.ts';

type Name = keyof typeof answers;
const names = Object.keys(answers) as Name[];

describe('Answers through the gateway', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let asked = 0;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        api: both(),
        'cache-only': [{ 'llm-cache': {} }],
        'usage-only': [{ 'llm-usage': { action: { provider: 'mine' } } }],
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  /** A request that nobody has sent before. */
  function fresh(name: Name, more: object = {}): { url: string; body: object; model: string } {
    const model = `model ${++asked}`;
    const { path, body } = requests[name];
    // Gemini has the model, and the stream mode, in its path.
    const method = 'stream' in more ? ':streamGenerateContent?alt=sse' : ':generateContent';
    const target = path
      .replace(/models\/[^:]+/, `models/${encodeURIComponent(model)}`)
      .replace(':generateContent', method);
    return { url: `${gateway.url}/api${target}`, body: { ...body, model, ...more }, model };
  }

  for (const name of names) {
    it(`The gateway answers the second identical ${name} request as the provider answered the first`, async () => {
      upstream.answer(json(answers[name].json, { 'x-request-id': 'req_1', 'set-cookie': 'a=b' }));
      const { url, body, model } = fresh(name);
      const before = upstream.requests.length;

      const miss = await post(url, body);
      expect(miss.status).to.equal(200);
      expect(miss.text).to.equal(answers[name].json);
      expect(miss.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      expect(miss.headers).to.not.have.property('x-cache');
      expect(miss.headers['x-request-id']).to.equal('req_1');

      const hit = await post(url, body);
      expect(hit.status).to.equal(200);
      expect(hit.text).to.equal(answers[name].json);
      expect(hit.headers['content-type']).to.equal('application/json');
      expect(hit.headers['x-cache']).to.equal('HIT (exact)');
      expect(hit.headers['cache-status']).to.match(/^llm-cache; hit; ttl=3(600|599)$/);
      expect(Number(hit.headers['age'])).to.be.within(0, 1);
      expect(hit.headers).to.not.have.any.keys('x-request-id', 'set-cookie');
      expect(upstream.requests.length).to.equal(before + 1);

      const [real, synthetic] = await gateway.recorded(model, 2);
      expect(real).to.include({ cache_type: null, billed: true, status: 200, stream: false });
      expect(synthetic).to.include({
        cache_type: 'exact',
        billed: false,
        status: 200,
        stream: false,
      });
      expect(real?.cache_key).to.match(/^[^:]+:[^:]+:[\w-]{43}$/);
      for (const field of [
        'cache_key',
        'provider_id',
        'model',
        'requested_model',
        'input_tokens',
        'output_tokens',
        'total_tokens',
        'raw_data',
        'endpoint',
        'provider',
      ] as const) {
        expect(synthetic?.[field], field).to.deep.equal(real?.[field]);
      }
      const countsTokens = name !== 'rerank' && name !== 'moderations';
      expect(real?.input_tokens).to.equal(countsTokens ? 11 : null);
      expect(real?.id).to.not.equal(synthetic?.id);
    });
  }

  for (const name of names.filter((one) => 'sse' in answers[one])) {
    const stream = (answers[name] as { sse: string }).sse;

    it(`The gateway replays a ${name} stream byte for byte, and records its usage`, async () => {
      upstream.answer(sse(stream));
      const { url, body, model } = fresh(name, { stream: true });
      const before = upstream.requests.length;

      const miss = await post(url, body);
      const hit = await post(url, body);
      expect(miss.text).to.equal(stream);
      expect(hit.text).to.equal(stream);
      expect(hit.headers['x-cache']).to.equal('HIT (exact)');
      expect(hit.headers['content-type']).to.equal('text/event-stream; charset=utf-8');
      expect(upstream.requests.length).to.equal(before + 1);

      const [, synthetic] = await gateway.recorded(model, 2);
      expect(synthetic).to.include({
        cache_type: 'exact',
        billed: false,
        stream: true,
        input_tokens: 11,
        output_tokens: 5,
        total_tokens: 16,
      });
      expect(synthetic?.provider_id).to.match(/stream$/);
    });
  }

  it('The gateway keeps a stream and a JSON answer to the same question apart', async () => {
    const { url, body } = fresh('chat');
    const streaming = { ...body, stream: true };
    upstream.answer(sse(answers.chat.sse));
    expect((await post(url, streaming)).headers['cache-status']).to.contain('fwd=miss');
    upstream.answer(json(answers.chat.json));
    expect((await post(url, body)).headers['cache-status']).to.contain('fwd=miss');
    expect((await post(url, streaming)).text).to.equal(answers.chat.sse);
    const last = await post(url, { ...body, stream: false });
    expect(last.headers['x-cache']).to.equal('HIT (exact)');
    expect(last.text).to.equal(answers.chat.json);
  });

  it('The gateway ignores member order, white space and the spelling of numbers in a body', async () => {
    upstream.answer(json(answers.chat.json));
    const { url, body } = fresh('chat');
    await post(url, { ...body, temperature: 1 });
    const text = JSON.stringify({ temperature: 1, ...body }, null, 2).replace(': 1,', ': 1.0,');
    expect((await post(url, text)).headers['x-cache']).to.equal('HIT (exact)');
  });

  it('The gateway delivers a stream without its ending, and does not store it', async () => {
    const cut = answers.chat.sse.slice(0, answers.chat.sse.indexOf('data: [DONE]'));
    upstream.answer(sse(cut));
    const { url, body } = fresh('chat', { stream: true });
    expect((await post(url, body)).text).to.equal(cut);
    expect((await post(url, body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  const unfit: Record<string, [status: number, body: string, headers?: object]> = {
    'an error status': [500, answers.chat.json],
    'another success': [203, answers.chat.json],
    'an empty body': [200, ''],
    'a body that is not JSON': [200, 'Hello'],
    'a body of another type': [200, answers.chat.json, { 'content-type': 'text/plain' }],
    'an error in a 200': [200, '{"error":{"message":"no"}}'],
    'no choices': [200, '{"id":"x","choices":[]}'],
    'a filtered answer': [200, answers.chat.json.replace('"stop"', '"content_filter"')],
    'an unfinished answer': [200, answers.chat.json.replace('"stop"', 'null')],
    'an answer cut at the model’s own limit': [
      200,
      answers.chat.json.replace('"stop"', '"length"'),
    ],
    'a refusal': [200, answers.chat.json.replace('"refusal":null', '"refusal":"I cannot"')],
    'an unknown coding': [200, answers.chat.json, { 'content-encoding': 'mystery' }],
    'a coding that does not decode': [200, answers.chat.json, { 'content-encoding': 'gzip' }],
  };
  for (const [what, [status, text, headers]] of Object.entries(unfit)) {
    it(`The gateway delivers ${what} as it came, and does not store it`, async () => {
      upstream.answer(json(text, { ...headers }, status));
      const { url, body } = fresh('chat');
      const first = await post(url, body);
      expect([first.status, first.text]).to.deep.equal([status, text]);
      const second = await post(url, body);
      expect(second.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      expect(second.text).to.equal(text);
    });
  }

  it('The gateway stores an answer cut at a limit that the request itself set', async () => {
    const text = answers.chat.json.replace('"stop"', '"length"');
    upstream.answer(json(text));
    const { url, body } = fresh('chat', { max_tokens: 5 });
    await post(url, body);
    const hit = await post(url, body);
    expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', text]);
  });

  for (const [coding, compress] of Object.entries(coders)) {
    it(`The gateway stores a ${coding} answer decoded, and records its usage`, async () => {
      upstream.answer(json(compress(answers.chat.json), { 'content-encoding': coding }));
      const { url, body, model } = fresh('chat');
      const miss = await post(url, body, { headers: { 'accept-encoding': coding } });
      expect(miss.body.equals(compress(answers.chat.json))).to.equal(true);
      expect(miss.headers['content-encoding']).to.equal(coding);
      const [record] = await gateway.recorded(model, 1);
      expect(record).to.include({ input_tokens: 11, output_tokens: 5, billed: true });

      const hit = await post(url, body);
      expect(hit.headers['x-cache']).to.equal('HIT (exact)');
      expect(hit.headers).to.not.have.property('content-encoding');
      expect(hit.text).to.equal(answers.chat.json);
    });

    it(`The gateway stores a ${coding} stream decoded`, async () => {
      upstream.answer(sse(compress(answers.chat.sse), { 'content-encoding': coding }));
      const { url, body, model } = fresh('chat', { stream: true });
      await post(url, body);
      // The record says that the answer was read to its end.
      await gateway.recorded(model, 1);
      const hit = await post(url, body);
      expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', answers.chat.sse]);
    });
  }

  it('The llm-cache policy works alone, without usage records', async () => {
    upstream.answer(json(answers.chat.json));
    const { body, model } = fresh('chat');
    const url = `${gateway.url}/cache-only/v1/chat/completions`;
    await post(url, body);
    expect((await post(url, body)).headers['x-cache']).to.equal('HIT (exact)');
    const next = fresh('chat');
    await post(next.url, next.body);
    await gateway.recorded(next.model, 1);
    expect(gateway.records.filter((one) => one.requested_model === model)).to.deep.equal([]);
  });

  it('The llm-usage policy works alone, without headers of the cache', async () => {
    upstream.answer(sse(answers.messages.sse));
    const { body, model } = fresh('messages', { stream: true });
    const reply = await post(`${gateway.url}/usage-only/v1/messages?beta=true`, body);
    expect(reply.text).to.equal(answers.messages.sse);
    expect(reply.headers).to.not.have.any.keys('cache-status', 'x-cache');
    const [record] = await gateway.recorded(model, 1);
    expect(record).to.deep.include({
      provider: 'mine',
      provider_id: 'msg_stream',
      model: 'claude-sonnet-4-5-20250929',
      requested_model: model,
      endpoint: '/usage-only/v1/messages',
      api_endpoint: 'usage-only',
      consumer_id: null,
      stream: true,
      status: 200,
      cache_type: null,
      cache_key: null,
      billed: true,
      input_tokens: 11,
      output_tokens: 5,
      total_tokens: 16,
      raw_data: { cached_tokens: 4 },
    });
  });

  it('The llm-usage policy records an error of the provider as not billed', async () => {
    upstream.answer(json('{"error":{"message":"slow down"}}', {}, 429));
    const { url, body, model } = fresh('chat');
    await supertest(url)
      .post('')
      .send(body)
      .expect(429, { error: { message: 'slow down' } });
    const [record] = await gateway.recorded(model, 1);
    expect(record).to.include({ status: 429, billed: false, input_tokens: null, model });
  });

  it('The gateway lets requests that the policies do not serve pass untouched', async () => {
    upstream.answer(json(answers.chat.json, { 'x-cache': 'theirs', age: '7' }));
    for (const [method, path] of [
      ['GET', '/v1/chat/completions'],
      ['POST', '/v1/models'],
      ['POST', '/v1/threads/t1/messages'],
      ['POST', '/v1/chat/completions/'],
    ] as const) {
      const reply = await post(`${gateway.url}/api${path}`, { model: 'passing' }, { method });
      expect(reply.headers).to.not.have.property('cache-status');
      expect(reply.headers['x-cache']).to.equal('theirs');
      expect(reply.headers['age']).to.equal('7');
    }
    // What comes later is in the log, and of these there is nothing before it.
    const { url, body, model } = fresh('chat');
    await post(url, body);
    await gateway.recorded(model, 1);
    expect(gateway.records.filter((one) => one.requested_model === 'passing')).to.deep.equal([]);
  });

  it('The gateway drops X-Cache and Age of a cache further up, and appends to its Cache-Status', async () => {
    upstream.answer(
      json(answers.chat.json, { 'x-cache': 'theirs', age: '7', 'cache-status': 'Origin; hit' }),
    );
    const { url, body } = fresh('chat');
    const reply = await post(url, body);
    expect(reply.headers).to.not.have.any.keys('x-cache', 'age');
    expect(reply.headers['cache-status']).to.equal('Origin; hit, llm-cache; fwd=miss');
  });

  it('The gateway replays the headers that describe an answer, and no others', async () => {
    const told = {
      'openai-model': 'gpt-4o',
      'openai-version': '2020-10-01',
      'access-control-allow-origin': '*',
    };
    upstream.answer(json(answers.chat.json, { ...told, 'x-ratelimit-remaining-tokens': '9' }));
    const { url, body } = fresh('chat');
    await post(url, body);
    const hit = await post(url, body);
    expect(hit.headers).to.include(told);
    expect(hit.headers).to.not.have.property('x-ratelimit-remaining-tokens');
  });
});
