import zlib from 'node:zlib';
import { expect } from 'chai';
import type { UsageRecord } from '../../../policies/llm-usage/usage-record.ts';
import { admin } from '../../support/admin.ts';
import { answers, requests } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

/** A gigabyte in a kilobyte. */
function bomb(): Buffer {
  const member = zlib.gzipSync(Buffer.alloc(8 << 20, 97), { level: 9 });
  return zlib.gzipSync(zlib.gzipSync(Buffer.concat(Array<Buffer>(128).fill(member))));
}

describe('Answers that are not read to their end', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let asked = 0;
  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        api: both(),
        'usage-only': [{ 'llm-usage': { action: { maxResponseBytes: 1000 } } }],
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  /** A request that was not sent before. */
  function fresh(name: 'chat' | 'messages', pipeline = 'api') {
    const model = `claude-sonnet-4-5-${++asked}`;
    const { path, body } = requests[name];
    return { url: `${gateway.url}/${pipeline}${path}`, body: { ...body, model }, model };
  }

  const recordOf = async (model: string): Promise<UsageRecord> => {
    const [record] = await gateway.recorded(model, 1);
    if (record === undefined) throw new Error('there is no record');
    return record;
  };

  for (const pipeline of ['api', 'usage-only']) {
    it(`The gateway passes on a decompression bomb through ${pipeline}, and records that no usage was seen`, async () => {
      const body = bomb();
      upstream.answer(json(body, { 'content-encoding': 'gzip, gzip, gzip' }));
      const request = fresh('chat', pipeline);
      const reply = await post(request.url, request.body);
      expect(reply.body.equals(body)).to.equal(true);
      const record = await recordOf(request.model);
      expect(record).to.include({ status: 200, billed: true, total_tokens: null });
      expect(record.costs_calculation_caveat).to.match(/too large to read .* no usage was seen$/);
    });

    it(`The ${pipeline} record of a client that left before the usage says so`, async () => {
      upstream.answer((_request, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(answers.chat.sse.slice(0, 300));
      });
      const { url, body, model } = fresh('chat', pipeline);
      const { request, response } = await open(url, { ...body, stream: true });
      response.once('data', () => request.destroy());
      response.on('error', () => {});
      const record = await recordOf(model);
      expect(record).to.include({ status: 200, total_cost: null });
      expect(record.costs_calculation_caveat).to.equal(
        'the client left before the end of the answer, and no usage was seen',
      );
    });

    it(`The ${pipeline} record of a client that left early prices what it got, and says so`, async () => {
      const start = answers.messages.sse.indexOf('event: content_block_stop');
      upstream.answer((_request, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(answers.messages.sse.slice(0, start));
      });
      const { url, body, model } = fresh('messages', pipeline);
      const { request, response } = await open(url, { ...body, stream: true });
      response.once('data', () => request.destroy());
      response.on('error', () => {});
      const record = await recordOf(model);
      expect(record).to.include({ input_tokens: 11, output_tokens: 1 });
      expect(record.total_cost).to.be.above(0);
      expect(record.costs_calculation_caveat).to.equal(
        'the client left before the end of the answer: what came later is not counted',
      );
    });

    it(`The ${pipeline} record of an answer that the upstream broke off says so`, async () => {
      upstream.answer((_request, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(answers.chat.sse.slice(0, 300), () => res.destroy());
      });
      const { url, body, model } = fresh('chat', pipeline);
      await post(url, { ...body, stream: true }).catch(() => {});
      expect((await recordOf(model)).costs_calculation_caveat).to.equal(
        'the upstream broke off the answer, and no usage was seen',
      );
    });
  }

  it('The record of a JSON answer that is too large to read says so', async () => {
    upstream.answer(json(answers.chat.json.padEnd(2000)));
    const { url, body, model } = fresh('chat', 'usage-only');
    expect((await post(url, body)).status).to.equal(200);
    expect((await recordOf(model)).costs_calculation_caveat).to.match(/too large to read/);
  });

  it('The gateway stores no answer with an error in a choice, and counts it', async () => {
    const broken = answers.chat.json.replace('"index":0', '"index":0,"error":{"code":502}');
    const { url, body } = fresh('chat');
    const before = upstream.requests.length;
    upstream.answer(json(broken));
    for (let time = 0; time < 2; time++) expect((await post(url, body)).text).to.equal(broken);
    expect(upstream.requests.length - before).to.equal(2);
    const { pipelines } = await statsOf(gateway);
    expect(pipelines['api']?.notStored['error-in-body']).to.equal(2);
  });

  it('The gateway stores an answer that names a voice only as long as the provider keeps the voice', async () => {
    const spoken = (expiresAt: number) => {
      const audio = { id: 'a', data: 'AAAA', transcript: 'hi', expires_at: expiresAt };
      const message = { role: 'assistant', content: null, audio };
      return JSON.stringify({ id: 'c', choices: [{ index: 0, message, finish_reason: 'stop' }] });
    };
    const now = Math.floor(Date.now() / 1000);
    const soon = fresh('chat');
    upstream.answer(json(spoken(now + 600)));
    await post(soon.url, soon.body);
    const hit = await post(soon.url, soon.body);
    expect(hit.headers['x-cache']).to.equal('HIT (exact)');
    const ttl = Number(/ttl=(\d+)/.exec(String(hit.headers['cache-status']))?.[1]);
    expect(ttl).to.be.within(500, 600);
    const gone = fresh('chat');
    upstream.answer(json(spoken(now - 1)));
    for (let time = 0; time < 2; time++) {
      expect((await post(gone.url, gone.body)).headers).to.not.have.property('x-cache');
    }
    expect((await statsOf(gateway)).pipelines['api']?.notStored['expired']).to.equal(2);
  });

  it('The gateway writes the record of a stream that ended just before SIGTERM', async () => {
    const one = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: both() }) });
    const body = zlib.gzipSync(answers.chat.sse + ': \n'.repeat(500_000));
    upstream.answer(sse(body, { 'content-encoding': 'gzip' }));
    const { url, body: question, model } = fresh('chat');
    await post(url.replace(gateway.url, one.url), { ...question, stream: true });
    await one.stop('SIGTERM');
    expect(await one.recorded(model, 1)).to.have.length(1);
  });
});

interface Stats {
  readonly pipelines: Record<string, { readonly notStored: Record<string, number> }>;
}

async function statsOf(gateway: Gateway): Promise<Stats> {
  return (await admin(gateway, '/stats')).json as unknown as Stats;
}
