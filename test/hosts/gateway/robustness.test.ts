import http from 'node:http';
import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, type Opened, post, read } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { dies, Gate, gated, json, sse, Upstream } from '../../support/upstream.ts';

const events = answers.chat.sse.split(/(?<=\n\n)/);

describe('Misbehaving clients and providers', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      settings: { limits: { bufferedBytes: 100_000 } },
      gateway: gatewayConfig(upstream.url, {
        api: both({ maxRequestBytes: 50_000, maxResponseBytes: 20_000 }),
        'usage-only': [{ 'llm-usage': {} }],
        plain: [],
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });
  beforeEach(() => upstream.answer(json(answers.chat.json)));

  const url = () => `${gateway.url}/api/v1/chat/completions`;
  const newQuestion = (more: object = {}) => ({
    model: `model ${++question}`,
    messages: [],
    ...more,
  });

  for (const place of ['api', 'usage-only']) {
    for (const streaming of [true, false]) {
      it(`The gateway breaks a ${streaming ? 'stream' : 'JSON answer'} through "${place}" whose provider died`, async () => {
        const body = newQuestion({ stream: streaming });
        const type = streaming ? 'text/event-stream' : 'application/json';
        upstream.answer(dies(events[0] ?? '', { 'content-type': type }));
        const reply = await post(`${gateway.url}/${place}/v1/chat/completions`, body);
        expect(reply.broken).to.equal(true);
        expect(reply.text).to.equal(events[0]);
        const [record] = await gateway.recorded(body.model, 1);
        expect(record).to.include({ status: 200, cache_type: null });
      });
    }
  }

  it('The gateway breaks an answer that is shorter than its declared length', async () => {
    upstream.answer(dies('{"id"', { 'content-length': 500 }));
    expect((await post(url(), newQuestion())).broken).to.equal(true);
  });

  it('The gateway answers 502 when the provider dies between head and body', async () => {
    upstream.answer(dies('', { 'content-length': 500, 'content-encoding': 'gzip' }));
    const reply = await post(url(), newQuestion());
    expect([reply.status, reply.text, reply.broken]).to.deep.equal([502, 'Bad gateway.', false]);
    expect(reply.headers).to.not.have.property('content-encoding');
  });

  it('The gateway stores nothing of an answer that broke off', async () => {
    const body = newQuestion({ stream: true });
    upstream.answer(dies(answers.chat.sse, { 'content-type': 'text/event-stream' }));
    await post(url(), body);
    upstream.answer(sse(answers.chat.sse));
    expect((await post(url(), body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  it('The gateway ends a call when the client leaves in the middle of a stream, and stores nothing', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const body = newQuestion({ stream: true });
    const { request, response } = await open(url(), body);
    response.on('error', () => {});
    const asked = upstream.last;
    request.destroy();
    await eventually(() => asked.aborted, 'the call to the provider ends');
    const [record] = await gateway.recorded(body.model, 1);
    expect(record).to.include({ status: 200, billed: true, provider_id: 'chatcmpl-stream' });
    upstream.answer(sse(answers.chat.sse));
    expect((await post(url(), body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  it("The gateway ends a call and records 499 when the client leaves before the provider's first byte", async () => {
    upstream.answer(() => {});
    const body = newQuestion();
    const before = upstream.requests.length;
    const request = http.request(url(), { method: 'POST', agent: false });
    request.on('error', () => {});
    request.end(JSON.stringify(body));
    await upstream.asked(before + 1);
    const asked = upstream.last;
    request.destroy();
    await eventually(() => asked.aborted, 'the call to the provider ends');
    const [record] = await gateway.recorded(body.model, 1);
    expect(record).to.include({ status: 499, billed: false, total_tokens: null });
  });

  it('The gateway works on when a client leaves in the middle of its request', async () => {
    const before = upstream.requests.length;
    const request = http.request(url(), {
      method: 'POST',
      agent: false,
      headers: { 'content-length': 1000 },
    });
    request.on('error', () => {});
    request.write('{"model":');
    await new Promise((resolve) =>
      request.once('socket', (socket) => socket.once('connect', resolve)),
    );
    request.destroy();
    expect((await post(url(), newQuestion())).status).to.equal(200);
    expect(upstream.requests.length).to.equal(before + 1);
  });

  it('The gateway passes on a stream event by event, as it comes', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const { response } = await open(url(), newQuestion({ stream: true }));
    let seen = '';
    response.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    for (let count = 1; count <= events.length; count++) {
      await eventually(() => seen === events.slice(0, count).join(''), `event ${count}`);
      gate.pass();
    }
  });

  const bodies: Record<string, [Buffer, string]> = {
    'bytes that are not JSON': [Buffer.from('{"model": oops'), 'not-json'],
    'JSON that is not an object': [Buffer.from('[1,2]'), 'not-json'],
    'no bytes': [Buffer.alloc(0), 'not-json'],
    'bytes that are not UTF-8': [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 'not-utf8'],
    'a byte order mark': [Buffer.from('\ufeff{"model":"m"}'), 'not-json'],
    'more than the cache reads': [
      Buffer.from(`{"model":"${'x'.repeat(60_000)}"}`),
      'request-too-large',
    ],
    'a background task': [Buffer.from('{"model":"m","background":true}'), 'stateful'],
    'a conversation': [Buffer.from('{"model":"m","conversation":"conv_1"}'), 'stateful'],
  };
  for (const [what, [bytes, reason]] of Object.entries(bodies)) {
    it(`The gateway passes on a request of ${what} byte for byte`, async () => {
      const path = reason === 'stateful' ? '/v1/responses' : '/v1/chat/completions';
      for (const coding of ['identity', 'chunked'] as const) {
        const reply = await post(`${gateway.url}/api${path}`, bytes, { coding });
        expect(reply.headers['cache-status']).to.equal(`llm-cache; fwd=bypass; detail=${reason}`);
        expect(upstream.last.body.equals(bytes)).to.equal(true);
        expect(reply.text).to.equal(answers.chat.json);
      }
    });
  }

  it('The gateway serves deeply nested bodies and duplicate members byte for byte', async () => {
    const deep = `{"model":"m","x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const twice = '{"model":"m","user":"a","user":"b"}';
    const twiceOther = '{"model":"m","user":"b","user":"a"}';
    for (const text of [deep, twice, twiceOther]) {
      const miss = await post(url(), text);
      expect(miss.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      expect(upstream.last.body.toString()).to.equal(text);
      expect((await post(url(), text)).headers['x-cache']).to.equal('HIT (exact)');
    }
  });

  it('The gateway delivers an answer that is too large whole, and does not store it', async () => {
    const text = answers.chat.json.replace('Hello', 'Hello'.repeat(8000));
    upstream.answer(json(text));
    const body = newQuestion();
    expect((await post(url(), body)).text).to.equal(text);
    expect((await post(url(), body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  it('The gateway reads the usage of a stream that is too large to be stored', async () => {
    const text = answers.chat.sse.replace(events[1] ?? '', (events[1] ?? '').repeat(200));
    upstream.answer(sse(text));
    const body = newQuestion({ stream: true });
    expect((await post(url(), body)).text).to.equal(text);
    const [record] = await gateway.recorded(body.model, 1);
    expect(record).to.include({ input_tokens: 11, output_tokens: 5, billed: true });
    expect((await post(url(), body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  it('The gateway holds a bounded number of bodies, and caches again when there is room', async () => {
    const large = () => newQuestion({ stream: true, input: 'x'.repeat(45_000) });
    const gates = [new Gate(), new Gate()];
    const streams: Opened[] = [];
    for (const gate of gates) {
      upstream.answer(gated(events, gate));
      streams.push(await open(url(), large()));
    }
    upstream.answer(json(answers.chat.json));
    const bypassed = await post(url(), large());
    expect(bypassed.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=buffer-limit');
    expect(bypassed.text).to.equal(answers.chat.json);
    for (const gate of gates) events.forEach(() => gate.pass());
    for (const { response } of streams)
      expect((await read(response)).text).to.equal(answers.chat.sse);
    await eventually(
      async () => (await post(url(), large())).headers['cache-status'] === 'llm-cache; fwd=miss',
      'there is room again',
    );
  });

  it('The gateway leaves pipelines without the policies as they are', async () => {
    const reply = await post(`${gateway.url}/plain/v1/chat/completions`, '{"a":1}');
    expect(reply.text).to.equal(answers.chat.json);
    expect(reply.headers).to.not.have.property('cache-status');
  });

  it('The gateway answers 502 without a provider, and stores nothing', async () => {
    const dead = await Gateway.start({
      gateway: gatewayConfig('http://127.0.0.1:1', { api: both() }),
    });
    const body = newQuestion();
    for (const _ of [1, 2]) {
      const reply = await post(`${dead.url}/api/v1/chat/completions`, body);
      expect([reply.status, reply.headers['cache-status']]).to.deep.equal([
        502,
        'llm-cache; fwd=miss',
      ]);
    }
    await dead.stop();
  });

  it('The gateway logs no fault while clients and providers misbehave', () => {
    expect(gateway.log).to.not.match(/unhandled|TypeError|llm-cache: |llm-usage: /i);
  });
});
