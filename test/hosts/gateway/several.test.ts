import { expect } from 'chai';
import { admin } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, post, read, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { Gate, gated, json, sse, Upstream } from '../../support/upstream.ts';

const events = answers.chat.sse.split(/(?<=\n\n)/);
const joined = { 'x-cache': 'HIT (coalesced)', 'cache-status': 'llm-cache; fwd=miss; collapsed' };

describe('Gateways that share one Redis', () => {
  let redis: RedisServer;
  let upstream: Upstream;
  let gateways: Gateway[] = [];
  let question = 0;

  before(async function () {
    if (!hasRedis()) return this.skip();
    redis = await RedisServer.start();
    upstream = await Upstream.start();
    const stores = {
      shared: { type: 'redis', url: redis.url },
      near: { type: 'tiered', near: 'memory', far: 'shared' },
      apart: { type: 'redis', url: redis.url, keyPrefix: 'apart:', coalesceAcross: false },
    };
    const start = () =>
      Gateway.start({
        settings: { stores },
        gateway: gatewayConfig(upstream.url, {
          redis: both({ store: 'shared' }),
          tiered: both({ store: 'near' }),
          apart: both({ store: 'apart' }),
          impatient: both({ store: 'shared', coalesceWaitMs: 100 }),
        }),
      });
    gateways = await Promise.all([start(), start()]);
  });
  after(async () => {
    for (const gateway of gateways) {
      expect(gateway.log).to.not.match(/unhandled|TypeError|llm-cache: |llm-usage: /i);
      await gateway.stop();
    }
    await upstream?.close();
    await redis?.close();
  });

  const ask = (more: object = {}) => ({ model: `model ${++question}`, messages: [], ...more });
  /** Resolves when so many requests of the second gateway wait for the first one, or read along. */
  const following = (count: number) =>
    eventually(
      async () => (await admin(gateways[1]!, '/stats')).json['joiners'] === count,
      `${count} requests follow`,
    );
  const url = (gateway: number, pipeline = 'redis') =>
    `${gateways[gateway]?.url}/${pipeline}/v1/chat/completions`;
  const callsOf = (body: { model: string }) =>
    upstream.requests.filter(({ body: bytes }) => bytes.includes(`"${body.model}"`));

  for (const pipeline of ['redis', 'tiered']) {
    it(`Gateways that share a ${pipeline} store answer what another has stored, JSON and streams`, async () => {
      for (const [more, answer, text] of [
        [{}, json(answers.chat.json), answers.chat.json],
        [{ stream: true }, sse(answers.chat.sse), answers.chat.sse],
      ] as const) {
        upstream.answer(answer);
        const body = ask(more);
        expect((await post(url(0, pipeline), body)).text).to.equal(text);
        let hit = await post(url(1, pipeline), body, {
          headers: { 'cache-control': 'only-if-cached' },
        });
        await eventually(async () => {
          hit = await post(url(1, pipeline), body, {
            headers: { 'cache-control': 'only-if-cached' },
          });
          return hit.status === 200;
        }, 'the other has it');
        expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', text]);
        expect(callsOf(body).length).to.equal(1);
      }
    });

    it(`Gateways that share a ${pipeline} store wait for a JSON answer that another is fetching`, async () => {
      const gate = new Gate();
      upstream.answer(async (request, res) => {
        await gate.wait();
        await json(answers.chat.json)(request, res);
      });
      const body = ask();
      const first = post(url(0, pipeline), body);
      await eventually(() => callsOf(body).length === 1, 'the call');
      const others = Array.from({ length: 10 }, () => post(url(1, pipeline), body));
      await following(10);
      gate.pass();
      expect((await first).text).to.equal(answers.chat.json);
      for (const reply of await Promise.all(others)) {
        expect(reply.text).to.equal(answers.chat.json);
        expect(reply.headers).to.include(joined);
      }
      expect(callsOf(body).length).to.equal(1);
      const records = (await gateways[1]?.recorded(body.model, 10)) ?? [];
      for (const record of records) {
        expect(record).to.include({ cache_type: 'coalesced', billed: false, total_tokens: 16 });
      }
    });

    it(`Gateways that share a ${pipeline} store follow live, early and late, a stream that another is fetching`, async () => {
      const gate = new Gate();
      upstream.answer(gated(events, gate));
      const body = ask({ stream: true });
      const first = await open(url(0, pipeline), body);
      const seen: string[] = [];
      const follow = async () => {
        const index = seen.push('') - 1;
        const { response } = await open(url(1, pipeline), body);
        expect(response.headers).to.include(joined);
        response.on('data', (bytes: Buffer) => (seen[index] += bytes.toString()));
      };
      await follow();
      for (let count = 1; count <= events.length; count++) {
        const sofar = events.slice(0, count).join('');
        await eventually(() => seen.every((text) => text === sofar), `event ${count} everywhere`);
        if (count === 3) {
          await follow();
          await eventually(() => seen[1] === sofar, 'the late one has what has come so far');
        }
        gate.pass();
      }
      expect((await read(first.response)).text).to.equal(answers.chat.sse);
      expect(callsOf(body).length).to.equal(1);
      const records = (await gateways[1]?.recorded(body.model, 2)) ?? [];
      for (const record of records) {
        expect(record).to.include({ cache_type: 'coalesced', input_tokens: 11, billed: false });
      }
    });
  }

  it('Gateways that share one Redis share no failure: each calls for itself', async () => {
    const gate = new Gate();
    let calls = 0;
    upstream.answer(async (request, res) => {
      if (++calls > 1) return json(answers.chat.json)(request, res);
      await gate.wait();
      return json('{"error":{}}', {}, 500)(request, res);
    });
    const body = ask();
    const first = post(url(0), body);
    await eventually(() => calls === 1, 'the first call');
    const other = post(url(1), body);
    await following(1);
    expect(calls).to.equal(1);
    gate.pass();
    expect((await first).status).to.equal(500);
    expect((await other).text).to.equal(answers.chat.json);
    expect(calls).to.equal(2);
  });

  it('Gateways that share one Redis wait for each other no longer than coalesceWaitMs', async () => {
    const gate = new Gate();
    let calls = 0;
    upstream.answer(async (request, res) => {
      if (++calls === 1) await gate.wait();
      await json(answers.chat.json)(request, res);
    });
    const body = ask();
    const first = post(url(0, 'impatient'), body);
    await eventually(() => calls === 1, 'the first call');
    expect((await post(url(1, 'impatient'), body)).text).to.equal(answers.chat.json);
    expect(calls).to.equal(2);
    gate.pass();
    await first;
  });

  it('Gateways that share one Redis each call for themselves with coalesceAcross off', async () => {
    const gate = new Gate();
    let calls = 0;
    upstream.answer(async (request, res) => {
      if (++calls === 1) await gate.wait();
      await json(answers.chat.json)(request, res);
    });
    const body = ask();
    const first = post(url(0, 'apart'), body);
    await eventually(() => calls === 1, 'the first call');
    expect((await post(url(1, 'apart'), body)).headers['cache-status']).to.equal(
      'llm-cache; fwd=miss',
    );
    gate.pass();
    await first;
  });

  it('The death of the calling gateway breaks answers that others follow, and lets waiting requests call', async () => {
    const dying = await Gateway.start({
      settings: { stores: { shared: { type: 'redis', url: redis.url } } },
      gateway: gatewayConfig(upstream.url, { redis: both({ store: 'shared' }) }),
    });
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const [streaming, waiting] = [ask({ stream: true }), ask()];
    const lost = await open(`${dying.url}/redis/v1/chat/completions`, streaming);
    lost.response.on('error', () => {});
    const follower: Promise<Reply> = read((await open(url(1), streaming)).response);
    upstream.answer(() => {});
    void post(`${dying.url}/redis/v1/chat/completions`, waiting).catch(() => {});
    await eventually(() => callsOf(waiting).length === 1, 'the second call');
    const waits = post(url(1), waiting);
    await following(2);
    expect(callsOf(waiting).length).to.equal(1);
    upstream.answer(json(answers.chat.json));
    await dying.stop('SIGKILL');
    expect((await follower).broken).to.equal(true);
    expect((await waits).text).to.equal(answers.chat.json);
    expect(callsOf(waiting).length).to.equal(2);
  });
});

describe('A gateway whose Redis fails', () => {
  let upstream: Upstream;
  before(async function () {
    if (!hasRedis()) return this.skip();
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
  });
  after(() => upstream?.close());

  const start = (url: string) =>
    Gateway.start({
      settings: { stores: { shared: { type: 'redis', url } } },
      gateway: gatewayConfig(upstream.url, { api: both({ store: 'shared' }) }),
    });
  const ask = (gateway: Gateway, user: string) =>
    post(`${gateway.url}/api/v1/chat/completions`, { model: 'gpt-4o', messages: [], user });

  it('The gateway starts and serves while Redis is down, and uses it once it is up', async () => {
    const redis = await RedisServer.down();
    const gateway = await start(redis.url);
    for (let count = 0; count < 20; count++) {
      expect((await ask(gateway, 'a')).text).to.equal(answers.chat.json);
    }
    await redis.run();
    await eventually(
      async () => (await ask(gateway, 'a')).headers['x-cache'] === 'HIT (exact)',
      'it is used',
    );
    await gateway.stop();
    await redis.close();
  });

  it('The gateway loses no request while Redis is frozen, and uses it again afterwards', async () => {
    const redis = await RedisServer.start();
    const gateway = await start(redis.url);
    await ask(gateway, 'a');
    await eventually(
      async () => (await ask(gateway, 'a')).headers['x-cache'] === 'HIT (exact)',
      'a hit',
    );
    redis.freeze();
    const replies: Reply[] = [];
    for (let count = 0; count < 30; count++) replies.push(await ask(gateway, 'a'));
    for (const reply of replies)
      expect([reply.status, reply.text]).to.deep.equal([200, answers.chat.json]);
    // What is still on its way to Redis answers meanwhile.
    const bypass = 'llm-cache; fwd=bypass; detail=store-error';
    await eventually(
      async () => (await ask(gateway, 'a')).headers['cache-status'] === bypass,
      'it is given up',
    );
    redis.thaw();
    await eventually(
      async () => (await ask(gateway, 'a')).headers['x-cache'] === 'HIT (exact)',
      'it is used again',
      3000,
    );
    const said = gateway.log.match(/store "shared" (does not answer|answers again)/g);
    expect(said).to.deep.equal(['store "shared" does not answer', 'store "shared" answers again']);
    await gateway.stop();
    await redis.close();
  });

  it('The gateway loses no request when Redis is killed under load', async () => {
    const redis = await RedisServer.start();
    const gateway = await start(redis.url);
    const replies: Promise<Reply>[] = [];
    for (let count = 0; count < 200; count++) {
      replies.push(ask(gateway, `u${count % 10}`));
      if (count === 60) await redis.kill();
      if (count === 140) await redis.run();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const reply of await Promise.all(replies)) {
      expect([reply.status, reply.text]).to.deep.equal([200, answers.chat.json]);
    }
    expect(gateway.log).to.not.match(/unhandled|TypeError/i);
    await gateway.stop();
    await redis.close();
  });
});

describe('The configuration of stores', () => {
  const wrong: [what: string, stores: object, message: string][] = [
    [
      'a redis store without a url where the gateway has none',
      { s: { type: 'redis' } },
      '"stores.s.url" is missing, and the gateway\'s own db.redis is emulated',
    ],
    [
      'a key that is not 32 bytes',
      { s: { type: 'redis', url: 'redis://x', encryptionKeys: ['c2hvcnQ='] } },
      '"stores.s.encryptionKeys.0" must be a key of 32 bytes in base64',
    ],
    [
      'a parameter of another kind',
      { s: { type: 'redis', url: 'redis://x', maxBytes: 5000 } },
      'unknown parameter "stores.s.maxBytes", expected one of type, url, keyPrefix',
    ],
    ['a tiered store without a far one', { s: { type: 'tiered' } }, '"stores.s.far" is missing'],
    [
      'a tiered store on a far one that is not there',
      { s: { type: 'tiered', far: 'x' } },
      '"stores.s.far" must be the name of a redis store (none, because there is no redis store), got "x"',
    ],
    [
      'a tiered store on itself',
      { s: { type: 'tiered', far: 's', near: 's' } },
      '"stores.s.near" must be the name of a memory store (memory), got "s"',
    ],
  ];
  for (const [what, stores, message] of wrong) {
    it(`The gateway does not start with ${what}, and says what is wrong`, async () => {
      const { code, log } = await Gateway.failToStart({
        settings: { stores },
        gateway: gatewayConfig('http://127.0.0.1:1', { api: both() }),
      });
      expect(log).to.contain(message).and.not.contain('c2hvcnQ=');
      expect(code).to.equal(1);
    });
  }
});
