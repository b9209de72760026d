import http from 'node:http';
import { expect } from 'chai';
import { admin } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, type Opened, post, read, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { coders, Gate, gated, json, sse, Upstream } from '../../support/upstream.ts';

const events = answers.chat.sse.split(/(?<=\n\n)/);
const joined = { 'x-cache': 'HIT (coalesced)', 'cache-status': 'llm-cache; fwd=miss; collapsed' };

describe('Identical requests at the same time', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        api: both(),
        small: both({ maxResponseBytes: 200_000 }),
        impatient: both({ coalesceWaitMs: 100 }),
        alone: both({ coalesce: false }),
        finishing: both({ finishOnDisconnect: true }),
      }),
    });
  });
  after(async () => {
    expect(gateway.log).to.not.match(/unhandled|TypeError|llm-cache: |llm-usage: /i);
    await gateway.stop();
    await upstream.close();
  });

  const ask = (more: object = {}) => ({ model: `model ${++question}`, messages: [], ...more });
  const url = (pipeline = 'api') => `${gateway.url}/${pipeline}/v1/chat/completions`;
  const passAll = (gate: Gate) => events.forEach(() => gate.pass());

  /** Resolves when so many requests wait for a call or read along. */
  const joining = (count: number) =>
    eventually(
      async () => (await admin(gateway, '/stats')).json['joiners'] === count,
      `${count} requests have joined`,
    );
  /** Long enough that requests sent before are waiting, or have been answered. */
  async function settled(): Promise<void> {
    const headers = { 'cache-control': 'only-if-cached' };
    for (let times = 0; times < 5; times++) await post(url(), 'answered by the cache', { headers });
  }

  it('The gateway makes one call for 201 identical requests, and each gets every byte, early or late', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const before = upstream.requests.length;
    const body = ask({ stream: true });
    const readers: Promise<Reply>[] = [];
    const join = () => readers.push(post(url(), body));
    const leader = await open(url(), body);
    for (let count = 0; count < 100; count++) join();
    gate.pass();
    gate.pass();
    for (let count = 0; count < 100; count++) join();
    // Every one of them has been given what has come so far.
    await eventually(
      async () =>
        (await post(url(), body, { headers: { 'cache-control': 'only-if-cached' } })).status ===
        504,
      'nothing is stored before the end',
    );
    passAll(gate);
    const first = await read(leader.response);
    const replies = await Promise.all(readers);
    expect(first.text).to.equal(answers.chat.sse);
    expect(first.headers['cache-status']).to.equal('llm-cache; fwd=miss');
    for (const reply of replies) {
      expect(reply.text).to.equal(answers.chat.sse);
      expect(reply.headers['content-type']).to.equal('text/event-stream; charset=utf-8');
    }
    expect(upstream.requests.length).to.equal(before + 1);
    const shared = replies.filter(({ headers }) => headers['x-cache'] === 'HIT (coalesced)');
    expect(shared.length).to.be.greaterThan(100);
    for (const { headers } of shared) expect(headers).to.include(joined);

    const records = await gateway.recorded(body.model, 202);
    const counted = records.filter((one) => one.cache_type === 'coalesced');
    expect(counted.length).to.equal(shared.length);
    for (const record of counted) {
      expect(record).to.include({
        billed: false,
        input_tokens: 11,
        output_tokens: 5,
        total_tokens: 16,
        provider_id: 'chatcmpl-stream',
        status: 200,
      });
    }
    expect(records.filter((one) => one.billed).length).to.equal(1);
  });

  it('The gateway gives a late request at once what has come so far, and the rest as it comes', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const body = ask({ stream: true });
    const leader = await open(url(), body);
    gate.pass();
    let first = '';
    leader.response.on('data', (bytes: Buffer) => (first += bytes.toString()));
    await eventually(() => first === events.slice(0, 2).join(''), 'two events are here');

    const late = await open(url(), body);
    let seen = '';
    late.response.on('data', (bytes: Buffer) => (seen += bytes.toString()));
    for (let count = 2; count <= events.length; count++) {
      await eventually(() => seen === events.slice(0, count).join(''), `event ${count}`);
      gate.pass();
    }
    await eventually(() => late.response.complete, 'the stream ends');
  });

  it('The gateway shares a JSON answer with joined requests once it is whole', async () => {
    const gate = new Gate();
    upstream.answer(async (request, res) => {
      await gate.wait();
      await json(answers.chat.json, { 'x-request-id': 'req_1' })(request, res);
    });
    const before = upstream.requests.length;
    const body = ask();
    const replies = Array.from({ length: 20 }, () => post(url(), body));
    await upstream.asked(before + 1);
    await settled();
    gate.pass();
    const all = await Promise.all(replies);
    for (const reply of all) expect(reply.text).to.equal(answers.chat.json);
    const shared = all.filter(({ headers }) => headers['x-cache'] !== undefined);
    expect(shared.length).to.equal(19);
    for (const { headers } of shared) {
      expect(headers).to.include(joined).and.to.not.have.property('x-request-id');
    }
    const calls = upstream.requests.filter(({ body: bytes }) => bytes.includes(body.model));
    expect(calls.length).to.equal(1);
  });

  it('The gateway shares no failure: one waiting request calls again, for all', async () => {
    const gates = [new Gate(), new Gate()];
    let calls = 0;
    upstream.answer(async (request, res) => {
      const call = calls++;
      await gates[call]?.wait();
      const answer = call === 0 ? json('{"error":{}}', {}, 500) : json(answers.chat.json);
      await answer(request, res);
    });
    const body = ask();
    const leader = post(url(), body);
    await eventually(() => calls === 1, 'the first call');
    const others = Array.from({ length: 10 }, () => post(url(), body));
    upstream.requests.length = 0;
    await joining(10);
    gates[0]?.pass();
    expect((await leader).status).to.equal(500);
    await eventually(() => calls === 2, 'the second call');
    gates[1]?.pass();
    const replies = await Promise.all(others);
    for (const reply of replies)
      expect([reply.status, reply.text]).to.deep.equal([200, answers.chat.json]);
    expect(calls).to.equal(2);
    expect(replies.filter(({ headers }) => headers['x-cache'] === undefined).length).to.equal(1);
  });

  it('The gateway lets waiting requests call all at once after two failed calls', async () => {
    let calls = 0;
    const gates: Gate[] = [];
    upstream.answer(async (request, res) => {
      const gate = new Gate();
      gates.push(gate);
      calls++;
      await gate.wait();
      await json('{"error":{}}', {}, 500)(request, res);
    });
    const body = ask();
    const replies = [post(url(), body)];
    await eventually(() => calls === 1, 'the first call');
    for (let count = 0; count < 100; count++) replies.push(post(url(), body));
    await joining(100);
    gates[0]?.pass();
    await eventually(() => calls === 2, 'a second call, alone');
    await joining(99);
    expect(calls).to.equal(2);
    gates[1]?.pass();
    await eventually(() => calls === 101, 'the rest, all at once');
    // Hit-for-miss: who comes now does not wait either.
    replies.push(post(url(), body), post(url(), body));
    await eventually(() => calls === 103, 'who comes now');
    for (const gate of gates) gate.pass();
    for (const reply of await Promise.all(replies)) expect(reply.status).to.equal(500);
  });

  it('The gateway lets waiting requests go on as soon as a failure shows, though its body is slow', async () => {
    const gate = new Gate();
    let calls = 0;
    upstream.answer(async (request, res) => {
      if (++calls > 1) return json(answers.chat.json)(request, res);
      await gate.wait();
      res.writeHead(503, { 'content-type': 'application/json' });
      res.write('{"error":');
      await gate.wait();
      res.end('{}}');
    });
    const body = ask();
    const leader = post(url(), body);
    await eventually(() => calls === 1, 'the first call');
    const others = Array.from({ length: 5 }, () => post(url(), body));
    await settled();
    gate.pass();
    for (const reply of await Promise.all(others)) expect(reply.text).to.equal(answers.chat.json);
    expect(calls).to.equal(2);
    gate.pass();
    expect((await leader).status).to.equal(503);
  });

  it('The gateway lets a joined request that has seen no byte for too long call by itself', async () => {
    let calls = 0;
    const gate = new Gate();
    upstream.answer(async (request, res) => {
      if (calls++ === 0) await gate.wait();
      await json(answers.chat.json)(request, res);
    });
    const body = ask();
    const leader = post(url('impatient'), body);
    await eventually(() => calls === 1, 'the first call');
    const other = await post(url('impatient'), body);
    expect([other.text, other.headers['cache-status']]).to.deep.equal([
      answers.chat.json,
      'llm-cache; fwd=miss',
    ]);
    gate.pass();
    expect((await leader).text).to.equal(answers.chat.json);
    expect(calls).to.equal(2);
  });

  it('The gateway breaks a stream that breaks off for all who read it', async () => {
    const gate = new Gate();
    upstream.answer(async (_request, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(events[0]);
      await gate.wait();
      res.destroy();
    });
    const body = ask({ stream: true });
    const replies: Promise<Reply>[] = [];
    for (let count = 0; count < 3; count++) replies.push(read((await open(url(), body)).response));
    await settled();
    gate.pass();
    for (const reply of await Promise.all(replies)) {
      expect([reply.broken, reply.text]).to.deep.equal([true, events[0]]);
    }
    upstream.answer(sse(answers.chat.sse));
    expect((await post(url(), body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  it('The gateway goes on with a stream when the first client leaves, and stores it', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const before = upstream.requests.length;
    const body = ask({ stream: true });
    const leader = await open(url(), body);
    leader.response.on('error', () => {});
    const other = await open(url(), body);
    leader.request.destroy();
    await settled();
    passAll(gate);
    expect((await read(other.response)).text).to.equal(answers.chat.sse);
    await eventually(
      async () => (await post(url(), body)).headers['x-cache'] === 'HIT (exact)',
      'it is stored',
    );
    const calls = upstream.requests
      .slice(before)
      .filter(({ body: bytes }) => bytes.includes(body.model));
    expect(calls.map(({ aborted }) => aborted)).to.deep.equal([false]);
    const records = await gateway.recorded(body.model, 2);
    expect(records.find((one) => one.cache_type === null)).to.include({
      billed: true,
      total_tokens: 16,
    });
  });

  it('The gateway goes on with a call when the first client leaves before any byte', async () => {
    const gate = new Gate();
    upstream.answer(async (request, res) => {
      await gate.wait();
      await json(answers.chat.json)(request, res);
    });
    const before = upstream.requests.length;
    const body = ask();
    const leader = http.request(url(), {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json' },
    });
    leader.on('error', () => {});
    leader.end(JSON.stringify(body));
    await upstream.asked(before + 1);
    const other = post(url(), body);
    await settled();
    leader.destroy();
    await settled();
    const calls = () => upstream.requests.filter(({ body: bytes }) => bytes.includes(body.model));
    expect(calls().map(({ aborted }) => aborted)).to.deep.equal([false]);
    upstream.answer(json(answers.chat.json));
    gate.pass();
    expect((await other).text).to.equal(answers.chat.json);
    expect((await other).headers).to.include(joined);
    expect(calls().length).to.equal(1);
    const records = await gateway.recorded(body.model, 2);
    expect(
      records.map((one) => [one.status, one.billed, one.total_tokens, one.cache_type]),
    ).to.have.deep.members([
      [499, true, 16, null],
      [200, false, 16, 'coalesced'],
    ]);
  });

  it('The gateway ends a call when all of its clients have left', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const body = ask({ stream: true });
    const readers: Opened[] = [];
    for (let count = 0; count < 3; count++) readers.push(await open(url(), body));
    const call = upstream.last;
    for (const { request, response } of readers) {
      expect(call.aborted).to.equal(false);
      response.on('error', () => {});
      request.destroy();
      await settled();
    }
    await eventually(() => call.aborted, 'the call ends');
  });

  it('The gateway finishes a call without any client with finishOnDisconnect', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const body = ask({ stream: true });
    const leader = await open(url('finishing'), body);
    leader.response.on('error', () => {});
    const call = upstream.last;
    leader.request.destroy();
    await settled();
    passAll(gate);
    await eventually(
      async () =>
        (await post(url('finishing'), body, { headers: { 'cache-control': 'only-if-cached' } }))
          .headers['x-cache'] === 'HIT (exact)',
      'the answer is stored',
    );
    expect(call.aborted).to.equal(false);
  });

  it('The gateway sends joined requests decoded bytes when the first client wanted compression', async () => {
    const gate = new Gate();
    const compressed = coders.gzip(answers.chat.sse);
    upstream.answer(async (_request, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
      res.write(compressed.subarray(0, 200));
      await gate.wait();
      res.end(compressed.subarray(200));
    });
    const body = ask({ stream: true });
    const leader = await open(url(), body, { headers: { 'accept-encoding': 'gzip' } });
    const other = post(url(), body);
    await settled();
    gate.pass();
    expect((await read(leader.response)).body.equals(compressed)).to.equal(true);
    const reply = await other;
    expect(reply.text).to.equal(answers.chat.sse);
    expect(reply.headers).to.include(joined).and.to.not.have.property('content-encoding');
  });

  const large = (count: number) => {
    const filler = (events[1] ?? '').replace('Hello', 'x'.repeat(10_000));
    return [events[0] ?? '', ...Array.from({ length: count }, () => filler), ...events.slice(2)];
  };

  it('The gateway does not let a first client that does not read hold up others', async () => {
    const gate = new Gate();
    const chunks = large(500);
    upstream.answer(gated([chunks[0] ?? '', chunks.slice(1).join('')], gate));
    const body = ask({ stream: true });
    const leader = await open(url(), body);
    leader.response.pause();
    const other = post(url(), body);
    await settled();
    gate.pass();
    const reply = await other;
    expect(reply.body.length).to.equal(Buffer.byteLength(chunks.join('')));
    expect(reply.headers).to.include(joined);
    expect((await read(leader.response)).text).to.equal(chunks.join(''));
  });

  it('The gateway does not let a joined client that does not read hold up others, and sends it all later', async () => {
    const gate = new Gate();
    const chunks = large(500);
    upstream.answer(gated([chunks[0] ?? '', chunks.slice(1).join('')], gate));
    const body = ask({ stream: true });
    const leader = await open(url(), body);
    const other = await open(url(), body);
    other.response.pause();
    gate.pass();
    expect((await read(leader.response)).text).to.equal(chunks.join(''));
    expect((await read(other.response)).text).to.equal(chunks.join(''));
  });

  it('The gateway delivers an answer too large to be stored whole to all who read it', async () => {
    const gate = new Gate();
    const chunks = large(60);
    upstream.answer(gated(chunks, gate));
    const body = ask({ stream: true });
    const readers = [await open(url('small'), body), await open(url('small'), body)].map(
      ({ response }) => read(response),
    );
    for (let count = 0; count < chunks.length; count++) {
      gate.pass();
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const reply of await Promise.all(readers)) expect(reply.text).to.equal(chunks.join(''));
    upstream.answer(sse(answers.chat.sse));
    expect((await post(url('small'), body)).headers['cache-status']).to.equal(
      'llm-cache; fwd=miss',
    );
  });

  const strangers: [string, Record<string, string>][] = [
    ['asks for a fresh answer', { 'cache-control': 'no-cache' }],
    ['refreshes', { 'x-cache-control': 'refresh' }],
    ['accepts no stored age', { 'cache-control': 'max-age=0' }],
    ['has another scope', { authorization: 'Bearer sk-other' }],
  ];
  for (const [what, headers] of strangers) {
    it(`The gateway lets no request join a call that ${what}`, async () => {
      const gate = new Gate();
      upstream.answer(gated(events, gate));
      const body = ask({ stream: true });
      const leader = await open(url(), body);
      const before = upstream.requests.length;
      upstream.answer(sse(answers.chat.sse));
      const reply = await post(url(), body, { headers });
      expect(reply.headers).to.not.have.property('x-cache');
      expect(upstream.requests.length).to.equal(before + 1);
      passAll(gate);
      expect((await read(leader.response)).text).to.equal(answers.chat.sse);
    });
  }

  it('The gateway answers only-if-cached with 504 at once while a call is under way', async () => {
    const gate = new Gate();
    upstream.answer(gated(events, gate));
    const body = ask({ stream: true });
    const leader = await open(url(), body);
    const reply = await post(url(), body, { headers: { 'cache-control': 'only-if-cached' } });
    expect(reply.status).to.equal(504);
    passAll(gate);
    await read(leader.response);
  });

  it('The gateway calls for each identical request where coalescing is off', async () => {
    let calls = 0;
    const gate = new Gate();
    upstream.answer(async (request, res) => {
      if (++calls === 1) await gate.wait();
      await json(answers.chat.json)(request, res);
    });
    const body = ask();
    const first = post(url('alone'), body);
    await eventually(() => calls === 1, 'the first call');
    expect((await post(url('alone'), body)).headers['cache-status']).to.equal(
      'llm-cache; fwd=miss',
    );
    gate.pass();
    await first;
    expect(calls).to.equal(2);
  });
});
