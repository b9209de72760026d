import { expect } from 'chai';
import supertest from 'supertest';
import { eventually } from './support/eventually.ts';
import { Gateway, signJwt } from './support/gateway.ts';
import { open, post, read } from './support/http.ts';
import { gatewayConfig } from './support/pipelines.ts';
import { dies, Gate, gated, json, Upstream } from './support/upstream.ts';

const jwt = { jwt: { action: { secretOrPublicKey: 'secret', checkCredentialExistence: false } } };
const limit = { 'rate-limit': { action: { max: 2, windowMs: 60_000, delayMs: 0 } } };

describe('The upstream of the tests', () => {
  it('records that its client left before the end', async () => {
    const upstream = await Upstream.start();
    upstream.answer(gated(['data: 1\n\n', 'data: 2\n\n'], new Gate()));
    const { request, response } = await open(upstream.url, '{}');
    response.on('error', () => {});
    await new Promise((resolve) => response.once('data', resolve));
    expect(upstream.last.aborted).to.equal(false);
    request.destroy();
    await eventually(() => upstream.last.aborted, 'the upstream sees its client leave');
    await upstream.close();
  });
});

// What the other tests stand on: the gateway's own policies, without ours in any pipeline.
for (const runtime of ['node', 'deno'] as const) {
  describe(`The gateway of the tests, under ${runtime}`, () => {
    let upstream: Upstream;
    let gateway: Gateway;

    before(async () => {
      upstream = await Upstream.start();
      gateway = await Gateway.start({
        runtime,
        watch: true,
        gateway: gatewayConfig(upstream.url, {
          plain: [],
          keyed: [{ 'key-auth': {} }],
          tokens: [jwt],
          limited: [limit],
        }),
      });
    });
    beforeEach(() => upstream.answer(json('{"id":1}')));
    after(async () => {
      await gateway.stop();
      await upstream.close();
    });

    const ask = (pipeline: string, authorization?: string) =>
      post(`${gateway.url}/${pipeline}/x`, '{}', {
        headers: authorization === undefined ? {} : { authorization },
      });

    it('hands bytes on as they are, both ways', async () => {
      const body = Buffer.from([0x7b, 0xff, 0x00, 0x0d, 0x0a]);
      upstream.answer(json(body, { 'content-encoding': 'gzip' }, 201));
      const reply = await post(`${gateway.url}/plain/a?b=%2F`, body);
      expect([reply.status, reply.headers['content-encoding']]).to.deep.equal([201, 'gzip']);
      expect(reply.body.equals(body)).to.equal(true);
      expect(upstream.last).to.include({ method: 'POST', path: '/plain/a?b=%2F' });
      expect(upstream.last.body.equals(body)).to.equal(true);
    });

    it('answers supertest', () =>
      supertest(gateway.url).post('/plain/x').send({}).expect(200, { id: 1 }));

    it('lets a stream through chunk by chunk', async () => {
      const gate = new Gate();
      upstream.answer(gated(['data: 1\n\n', 'data: 2\n\n'], gate));
      const { response } = await open(`${gateway.url}/plain/x`, '{}');
      const first = await new Promise<Buffer>((resolve) => response.once('data', resolve));
      expect(first.toString()).to.equal('data: 1\n\n');
      gate.pass();
      expect((await read(response)).text).to.equal('data: 2\n\n');
    });

    it('answers 502 for an upstream that resets before its head', async () => {
      upstream.answer((_request, res) => void res.destroy());
      expect((await ask('plain')).status).to.equal(502);
    });

    it('leaves the client waiting where the upstream dies in the middle', async () => {
      upstream.answer(dies('{"id":', { 'content-length': 100 }));
      const { request, response } = await open(`${gateway.url}/plain/x`, '{}');
      response.on('error', () => {});
      await new Promise((resolve) => response.once('data', resolve));
      await eventually(() => upstream.last.aborted, 'the upstream dies');
      // A whole exchange later it is as before.
      upstream.answer(json('{"id":1}'));
      expect((await ask('plain')).status).to.equal(200);
      expect([response.complete, response.destroyed]).to.deep.equal([false, false]);
      request.destroy();
    });

    it('knows two consumers by their keys', async () => {
      const ada = await gateway.createConsumer('ada');
      const bob = await gateway.createConsumer('bob');
      for (const { id, apiKey } of [ada, bob]) {
        expect((await ask('keyed', `apiKey ${apiKey}`)).status).to.equal(200);
        expect(upstream.last.headers['eg-consumer-id']).to.equal(id);
      }
      expect(ada.id).to.not.equal(bob.id);
      expect((await ask('keyed')).status).to.equal(401);
      expect((await ask('keyed', `apiKey ${ada.apiKey}x`)).status).to.equal(401);
    });

    it('takes a token of a subject that it does not know, under the right secret', async () => {
      const token = (secret: string) => `Bearer ${signJwt({ sub: 'ada' }, secret)}`;
      expect((await ask('tokens', token('secret'))).status).to.equal(200);
      expect((await ask('tokens', token('another'))).status).to.equal(401);
    });

    it('limits the rate, with the emulated Redis', async () => {
      const replies = [await ask('limited'), await ask('limited'), await ask('limited')];
      expect(replies.map(({ status }) => status)).to.deep.equal([200, 200, 429]);
      expect(replies[0]?.headers['x-ratelimit-remaining']).to.equal('1');
    });

    it('goes by a changed gateway.config.yml in the same process', async () => {
      expect((await ask('added')).status).to.equal(404);
      gateway.writeGatewayConfig(gatewayConfig(upstream.url, { added: [] }));
      await gateway.logged(/hot-reload config completed/);
      await eventually(async () => (await ask('added')).status === 200, 'the new pipeline');
      expect((await ask('plain')).status).to.equal(404);
      expect(gateway.child.exitCode).to.equal(null);
    });
  });

  it(`A gateway that cannot start says why and ends, under ${runtime}`, async () => {
    const { code, signal, log } = await Gateway.failToStart({
      runtime,
      gateway: gatewayConfig('http://127.0.0.1:9', { plain: [{ 'no-such-policy': {} }] }),
    });
    expect([code, signal]).to.deep.equal([1, null]);
    expect(log).to.contain('no-such-policy policy not declared');
  });
}
