import http from 'node:http';
import net from 'node:net';
import { expect } from 'chai';
import { admin } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, post, read } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { type Answer, Gate, gated, json, sse, Upstream } from '../../support/upstream.ts';

const events = answers.chat.sse.split(/(?<=\n\n)/);
const [, first = ''] = events;
const large = first.replace('Hello', 'x'.repeat(5000));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('A shared call that goes wrong', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      settings: { limits: { bufferedBytes: 30_000_000 } },
      gateway: gatewayConfig(upstream.url, {
        api: both({ coalesceWaitMs: 60_000 }),
        small: both({ maxResponseBytes: 1000, coalesceWaitMs: 60_000 }),
        impatient: both({ coalesceWaitMs: 300 }),
        finishing: both({ finishOnDisconnect: true, coalesceWaitMs: 60_000 }),
        stale: both({ ttl: 1, staleIfError: 100 }),
      }),
    });
  });
  after(async () => {
    expect(gateway.log).to.not.match(/unhandled|TypeError|llm-cache: |llm-usage: /i);
    await gateway.stop();
    await upstream.close();
  });

  const url = (pipeline = 'api') => `${gateway.url}/${pipeline}/v1/chat/completions`;
  const stat = async () => (await admin(gateway, '/stats')).json;
  const nothingHeld = () =>
    eventually(async () => (await stat())['bufferedBytes'] === 0, 'every byte is given back');
  /** The first call gets `answer` once the gate is passed, every other one a whole answer at once. */
  function once(answer: Answer, other: Answer, gate: Gate): void {
    let calls = 0;
    upstream.answer(async (request, res) => {
      if (++calls > 1) return other(request, res);
      await gate.wait();
      await answer(request, res);
    });
  }
  async function leaderOf(body: object, pipeline = 'api'): Promise<http.ClientRequest> {
    const asked = upstream.requests.length;
    const leader = http.request(url(pipeline), {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json' },
    });
    leader.on('error', () => {});
    leader.end(JSON.stringify(body));
    await upstream.asked(asked + 1);
    return leader;
  }
  const joined = (count = 1) =>
    eventually(async () => (await stat())['joiners'] === count, `${count} join`);
  let question = 0;
  const ask = (more: object = {}) => ({ model: `m${++question}`, messages: [], ...more });

  for (const [what, chunks, pipeline] of [
    ['larger than may be stored', [large, ...events.slice(2)], 'small'],
    ['not JSON', ['data: {nonsense\n\n', ...events], 'api'],
    ['an error', ['data: {"error":{"message":"overloaded"}}\n\n'], 'api'],
    ['all of it and larger than may be stored', [`${large}${events.slice(2).join('')}`], 'small'],
  ] as const) {
    it(`The gateway lets a waiting request call when the first chunk of a shared stream is ${what}`, async () => {
      const gate = new Gate();
      once(gated(chunks, gate), sse(answers.chat.sse), gate);
      const body = ask({ stream: true });
      const asked = upstream.requests.length;
      const leader = post(url(pipeline), body);
      await upstream.asked(asked + 1);
      const other = post(url(pipeline), body);
      await joined();
      for (let count = 0; count <= chunks.length; count++) gate.pass();
      const own = await other;
      expect(own.text).to.equal(answers.chat.sse);
      for (let count = 0; count <= chunks.length; count++) gate.pass();
      expect((await leader).text).to.equal(chunks.join(''));
    });
  }

  it('The gateway breaks neither leader nor joined client when much arrives at once', async () => {
    const text = [
      ...Array.from({ length: 40 }, () => first.replace('Hello', 'x'.repeat(1000))),
      ...events.slice(2),
    ].join('');
    const gate = new Gate();
    once(sse(text), sse(text), gate);
    const body = ask({ stream: true });
    const leader = post(url('small'), body);
    const other = post(url('small'), body);
    await joined();
    gate.pass();
    for (const reply of [await leader, await other]) {
      expect([reply.broken, reply.text === text]).to.deep.equal([false, true]);
    }
  });

  it('The gateway lets the leader of a large JSON answer read at its own pace, as it cannot be shared', async () => {
    const text = answers.chat.json.replace('Hello', 'x'.repeat(20_000_000));
    const gate = new Gate();
    once(json(text), json(text), gate);
    const body = ask();
    const opened = open(url(), body);
    const other = post(url(), body);
    await joined();
    gate.pass();
    const leader = await opened;
    leader.response.pause();
    expect((await other).text.length).to.equal(text.length);
    const reply = await read(leader.response);
    expect([reply.broken, reply.body.length]).to.deep.equal([false, text.length]);
  });

  for (const pipeline of ['api', 'finishing']) {
    it(`The gateway (${pipeline}) lets waiting requests call when a call resets whose client has left`, async () => {
      const gate = new Gate();
      once((_request, res) => void res.destroy(), json(answers.chat.json), gate);
      const body = ask();
      const leader = await leaderOf(body, pipeline);
      const other = post(url(pipeline), body);
      await joined();
      leader.destroy();
      await pause(50);
      gate.pass();
      expect((await other).text).to.equal(answers.chat.json);
      expect((await post(url(pipeline), body)).headers['x-cache']).to.equal('HIT (exact)');
    });
  }

  it('The gateway holds no client up twice: after one long wait its next request hits', async () => {
    const gate = new Gate();
    once(json('{}'), json(answers.chat.json), gate);
    const body = ask();
    const leader = await leaderOf(body, 'impatient');
    expect((await post(url('impatient'), body)).headers['cache-status']).to.equal(
      'llm-cache; fwd=miss',
    );
    expect((await post(url('impatient'), body)).headers['x-cache']).to.equal('HIT (exact)');
    leader.destroy();
    gate.pass();
  });

  const endless =
    (status: number): Answer =>
    (_request, res) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      const timer = setInterval(() => res.write(' '), 20);
      res.on('close', () => clearInterval(timer));
    };

  it('The gateway ends a failing call when its leader and all waiting clients have gone', async () => {
    const gate = new Gate();
    once(endless(500), json(answers.chat.json), gate);
    const body = ask();
    const leader = await leaderOf(body);
    const call = upstream.last;
    const other = post(url(), body);
    await joined();
    leader.destroy();
    await pause(50);
    gate.pass();
    expect((await other).text).to.equal(answers.chat.json);
    await eventually(() => call.aborted, 'the call ends');
  });

  it('The gateway ends a failing call when an expired entry has answered in its place', async () => {
    upstream.answer(json(answers.chat.json));
    const body = ask();
    await post(url('stale'), body);
    await gateway.pass(1100);
    upstream.answer(endless(503));
    expect((await post(url('stale'), body)).headers['x-cache']).to.equal('HIT (stale)');
    const call = upstream.last;
    await eventually(() => call.aborted, 'the call ends');
  });

  it('The gateway does not finish a call without clients whose answer cannot be stored', async () => {
    upstream.answer(endless(500));
    const { request, response } = await open(url('finishing'), ask());
    response.on('error', () => {});
    const call = upstream.last;
    request.destroy();
    await eventually(() => call.aborted, 'the call ends');
  });

  it('The gateway stores no answer that was purged on its way, or is older than the stored one', async () => {
    const gate = new Gate();
    const fresh = json(answers.chat.json.replace('Hello', 'Newer'));
    once(json(answers.chat.json), fresh, gate);
    const purged = ask();
    const leader = post(url(), purged);
    await eventually(() => upstream.last.body.includes(purged.model), 'the call is made');
    await admin(gateway, `/entries?model=${purged.model}`, { method: 'DELETE' });
    gate.pass();
    await leader;
    const onlyCached = { headers: { 'cache-control': 'only-if-cached' } };
    expect((await post(url(), purged, onlyCached)).status).to.equal(504);

    once(json(answers.chat.json), fresh, gate);
    const refreshed = ask();
    const slow = post(url(), refreshed);
    await eventually(() => upstream.last.body.includes(refreshed.model), 'the call is made');
    await post(url(), refreshed, { headers: { 'x-cache-control': 'refresh' } });
    gate.pass();
    await slow;
    expect((await post(url(), refreshed)).text).to.contain('Newer');
  });

  it('The gateway counts a client that left before the head as client-left', async () => {
    const count = async () => {
      const { finishing } = (await stat())['pipelines'] as Record<
        string,
        { notStored: Record<string, number> }
      >;
      const { api } = (await stat())['pipelines'] as Record<
        string,
        { notStored: Record<string, number> }
      >;
      return [
        api?.notStored['client-left'] ?? 0,
        api?.notStored['status'] ?? 0,
        finishing !== undefined,
      ];
    };
    upstream.answer(() => {});
    const [left, status] = await count();
    (await leaderOf(ask())).destroy();
    await eventually(async () => (await count())[0] === Number(left) + 1, 'it is counted');
    expect((await count())[1]).to.equal(status);
  });

  it('The gateway drops X-Cache and Age of a cache further up, and keeps its Cache-Status in front', async () => {
    const said = { 'x-cache': 'HIT (stale)', age: '77', 'cache-status': 'up; hit' };
    upstream.answer(json(answers.chat.json, said));
    const { headers } = await post(url(), ask());
    expect(headers).to.not.have.any.keys('x-cache', 'age');
    expect(headers['cache-status']).to.equal('up; hit, llm-cache; fwd=miss');
  });

  it('The gateway ends all calls of a closed connection with 20 requests on it, and frees their bytes', async () => {
    await nothingHeld();
    upstream.answer(() => {});
    const asked = upstream.requests.length;
    const raw = (body: object) => {
      const text = JSON.stringify(body);
      return `POST /api/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
    };
    const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(Array.from({ length: 20 }, () => raw(ask({ pad: 'x'.repeat(5000) }))).join(''));
    await upstream.asked(asked + 20);
    expect(Number((await stat())['bufferedBytes'])).to.be.above(100_000);
    socket.destroy();
    const calls = upstream.requests.slice(asked);
    await eventually(() => calls.every(({ aborted }) => aborted), 'the calls end');
    await nothingHeld();
    expect(gateway.log).to.not.contain('MaxListeners');
  });
});
