import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { coders, dies, Gate, gated, json, sse, Upstream } from '../../support/upstream.ts';

describe('The gateway under Deno', function () {
  this.timeout(60_000);
  let upstream: Upstream;
  let gateway: Gateway;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      runtime: 'deno',
      gateway: gatewayConfig(upstream.url, { api: both() }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  const ask = (body: object) => post(`${gateway.url}/api/v1/chat/completions`, body);

  it('The gateway under Deno answers JSON and streams from the cache, and keeps the books', async () => {
    for (const [body, answer, text] of [
      [{ model: 'json' }, json(answers.chat.json), answers.chat.json],
      [{ model: 'sse', stream: true }, sse(answers.chat.sse), answers.chat.sse],
      [
        { model: 'gzip' },
        json(coders.gzip(answers.chat.json), { 'content-encoding': 'gzip' }),
        answers.chat.json,
      ],
    ] as const) {
      upstream.answer(answer);
      expect((await ask(body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
      await gateway.recorded(body.model, 1);
      const hit = await ask(body);
      expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', text]);
      const [real, synthetic] = await gateway.recorded(body.model, 2);
      expect([real?.billed, real?.total_tokens]).to.deep.equal([true, 16]);
      expect([synthetic?.cache_type, synthetic?.total_tokens]).to.deep.equal(['exact', 16]);
    }
  });

  it('The gateway under Deno breaks the answer when the provider dies, and ends the call of a client that left', async () => {
    upstream.answer(dies('data: {}\n\n', { 'content-type': 'text/event-stream' }));
    expect((await ask({ model: 'dies', stream: true })).broken).to.equal(true);

    upstream.answer(gated(answers.chat.sse.split(/(?<=\n\n)/), new Gate()));
    const { request, response } = await open(`${gateway.url}/api/v1/chat/completions`, {
      stream: true,
    });
    response.on('error', () => {});
    const asked = upstream.last;
    request.destroy();
    await eventually(() => asked.aborted, 'the call to the provider ends');
  });

  it('The gateway under Deno does not start with a wrong parameter, and names it', async () => {
    const { code, log } = await Gateway.failToStart({
      runtime: 'deno',
      gateway: gatewayConfig(upstream.url, { api: both({ tll: 1 }) }),
    });
    expect(code).to.equal(1);
    expect(log).to.contain('unknown parameter "tll"');
  });
});
