import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { type Answer, dies, json, sse, Upstream } from '../../support/upstream.ts';

const addBehind = { 'response-transformer': { action: { body: { add: { behind: "'yes'" } } } } };
const addBefore = { 'response-transformer': { action: { body: { add: { before: "'yes'" } } } } };

describe('staleIfError', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    upstream = await Upstream.start();
    const stale = { ttl: 1, staleIfError: 600 };
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        api: both(stale),
        none: both({ ttl: 1 }),
        limited: [
          ...both(stale),
          { 'rate-limit': { action: { max: 1, windowMs: 600_000, delayMs: 0, rateLimitBy: 'x' } } },
        ],
        wrapped: [addBefore, ...both(stale), addBehind],
      }),
    });
  });
  after(async () => {
    expect(gateway.log).to.not.match(/unhandled|TypeError|llm-cache: |llm-usage: /i);
    await gateway.stop();
    await upstream.close();
  });

  const ask = (body: object, pipeline = 'api') =>
    post(`${gateway.url}/${pipeline}/v1/chat/completions`, body);

  /** A question whose stored answer has expired. */
  async function expired(pipeline = 'api', more: object = {}): Promise<{ model: string }> {
    const body = { model: `model ${++question}`, messages: [], ...more };
    upstream.answer('stream' in more ? sse(answers.chat.sse) : json(answers.chat.json));
    await ask(body, pipeline);
    await gateway.pass(1100);
    return body;
  }

  function expectStale(reply: Reply, text: string, status: number | null): void {
    expect([reply.status, reply.text]).to.deep.equal([200, text]);
    expect(reply.headers['x-cache']).to.equal('HIT (stale)');
    const said = status === null ? '' : ` fwd-status=${status};`;
    expect(reply.headers['cache-status']).to.match(
      new RegExp(`^llm-cache; fwd=stale;${said} ttl=-\\d+; detail=stale-if-error$`),
    );
    expect(Number(reply.headers['age'])).to.be.within(1, 10);
    expect(reply.headers).to.not.have.any.keys('retry-after', 'x-request-id', 'set-cookie');
  }

  const failures: Record<string, [answer: Answer, status: number | null]> = {
    ...Object.fromEntries(
      [429, 500, 502, 503, 504].map((status) => [
        `says ${status}`,
        [json('{"error":{}}', { 'retry-after': '9', 'set-cookie': 'a=b' }, status), status],
      ]),
    ),
    'dies before it says anything': [(_request, res) => void res.destroy(), null],
    'dies between head and body': [dies('', { 'content-length': 100, 'x-request-id': '1' }), null],
  };
  for (const [what, [answer, status]] of Object.entries(failures)) {
    it(`The gateway answers from an expired entry when the upstream ${what}`, async () => {
      const body = await expired();
      upstream.answer(answer);
      expectStale(await ask(body), answers.chat.json, status);
      const stale = () =>
        gateway.records.find(
          (one) => one.requested_model === body.model && one.cache_type === 'stale',
        );
      await eventually(() => stale() !== undefined, 'the record');
      expect(stale()).to.include({
        billed: false,
        status: 200,
        total_tokens: 16,
      });
    });
  }

  it('The gateway replays an expired stream when the upstream fails', async () => {
    const body = await expired('api', { stream: true });
    upstream.answer(json('{"error":{}}', {}, 503));
    const reply = await ask(body);
    expectStale(reply, answers.chat.sse, 503);
    expect(reply.headers['content-type']).to.equal('text/event-stream; charset=utf-8');
  });

  it('The gateway serves and stores fresh answers again once the upstream recovers', async () => {
    const body = await expired();
    upstream.answer(json('{"error":{}}', {}, 503));
    expectStale(await ask(body), answers.chat.json, 503);
    upstream.answer(json(answers.chat.json.replace('Hello', 'Hi')));
    const fresh = await ask(body);
    expect(fresh.headers['cache-status']).to.equal('llm-cache; fwd=stale');
    const hit = await ask(body);
    expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', fresh.text]);
  });

  it('The gateway answers a crowd from one expired entry when the upstream fails', async () => {
    const body = await expired();
    upstream.answer(json('{"error":{}}', {}, 503));
    for (const reply of await Promise.all(Array.from({ length: 30 }, () => ask(body)))) {
      expectStale(reply, answers.chat.json, 503);
    }
  });

  for (const status of [400, 401, 403, 404, 413, 422, 501]) {
    it(`The gateway passes on a ${status} in place of an expired entry, as it is no upstream failure`, async () => {
      const body = await expired();
      upstream.answer(json('{"error":{"message":"no"}}', {}, status));
      const reply = await ask(body);
      expect([reply.status, reply.text]).to.deep.equal([status, '{"error":{"message":"no"}}']);
      expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=stale');
    });
  }

  it('The gateway passes on an answer that no upstream gave in place of an expired entry', async () => {
    const body = await expired('limited');
    const reply = await ask(body, 'limited');
    expect(reply.status).to.equal(429);
    expect(reply.headers).to.not.have.property('x-cache');
  });

  it('The gateway passes on a body that broke off after its first byte in place of an expired entry', async () => {
    const body = await expired('api', { stream: true });
    upstream.answer(dies('data: {}\n\n', { 'content-type': 'text/event-stream' }));
    expect((await ask(body)).broken).to.equal(true);
  });

  it('The gateway sends an expired entry through the wrappers of earlier policies, not of later ones', async () => {
    const body = await expired('wrapped');
    upstream.answer(json('{"error":{}}', {}, 503));
    const reply = await ask(body, 'wrapped');
    expect(reply.headers['x-cache']).to.equal('HIT (stale)');
    expect(reply.text).to.equal(
      JSON.stringify({ ...JSON.parse(answers.chat.json), behind: 'yes', before: 'yes' }),
    );
  });

  it('The gateway uses no expired entry unless staleIfError is set', async () => {
    const body = await expired('none');
    upstream.answer(json('{"error":{}}', {}, 503));
    expect((await ask(body, 'none')).status).to.equal(503);
  });

  it('The gateway answers from an expired entry when the upstream cannot be reached at all', async () => {
    const gone = await Upstream.start();
    gone.answer(json(answers.chat.json));
    const other = await Gateway.start({
      gateway: gatewayConfig(gone.url, { api: both({ ttl: 1, staleIfError: 600 }) }),
    });
    const body = { model: 'gone', messages: [] };
    const url = `${other.url}/api/v1/chat/completions`;
    await post(url, body);
    await gone.close();
    expect((await post(url, body)).headers['x-cache']).to.equal('HIT (exact)');
    await other.pass(1100);
    expectStale(await post(url, body), answers.chat.json, null);
    await other.stop();
  });
});
