import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

describe('Client controls in the gateway', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;
  let call = 0;

  before(async () => {
    upstream = await Upstream.start();
    upstream.answer((request, res) =>
      json(answers.chat.json.replace('chatcmpl-json', `call ${++call}`))(request, res),
    );
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        api: both({ maxTtl: 7200 }),
        short: both({ ttl: 1 }),
        deaf: both({ clientControls: false }),
        asked: both({ mode: 'opt-in' }),
        timid: both({ allowedControls: ['x-cache-ttl'] }),
        telling: both({ statusHeader: 'always' }),
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  type Headers = Record<string, string | string[]>;
  const newQuestion = () => ({ model: 'gpt-4o', messages: [], user: `q${++question}` });
  const ask = (body: object, headers: Headers = {}, pipeline = 'api'): Promise<Reply> =>
    post(`${gateway.url}/${pipeline}/v1/chat/completions`, body, { headers });
  const idOf = (reply: Reply) => (JSON.parse(reply.text) as { id: string }).id;

  const bypasses: [string, Headers, string][] = [
    ['Cache-Control: no-cache', { 'cache-control': 'no-cache' }, 'no-cache'],
    ['Cache-Control: no-store', { 'cache-control': 'no-store' }, 'no-store'],
    ['X-Cache-Control: no-store', { 'x-cache-control': 'No-Store' }, 'no-store'],
    [
      'a directive in capitals among others',
      { 'cache-control': 'foo="a, b" , NO-CACHE' },
      'no-cache',
    ],
    ['a directive in a second line', { 'cache-control': ['max-age=5', 'no-cache'] }, 'no-cache'],
    ['no-store beside only-if-cached', { 'cache-control': 'only-if-cached, no-store' }, 'no-store'],
  ];
  for (const [what, headers, reason] of bypasses) {
    it(`The client control "${what}" makes a new call, stores nothing and leaves the stored answer alone`, async () => {
      const body = newQuestion();
      const first = await ask(body, headers);
      expect(first.headers['cache-status']).to.equal(`llm-cache; fwd=request; detail=${reason}`);
      const stored = await ask(body);
      expect(stored.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      const again = await ask(body, headers);
      expect(again.headers).to.not.have.property('x-cache');
      expect(idOf(again)).to.not.equal(idOf(stored));
      const hit = await ask(body);
      expect(idOf(hit)).to.equal(idOf(stored));
      expect(hit.headers['x-cache']).to.equal('HIT (exact)');
    });
  }

  for (const [headers, reason] of [
    [{ 'x-cache-control': 'refresh' }, 'refresh'],
    [{ 'cache-control': 'max-age=0' }, 'max-age'],
  ] as const) {
    it(`The client control ${reason} makes a new call and replaces the stored answer`, async () => {
      const body = newQuestion();
      const old = await ask(body);
      const fresh = await ask(body, headers);
      expect(fresh.headers['cache-status']).to.equal(`llm-cache; fwd=request; detail=${reason}`);
      const hit = await ask(body);
      expect(hit.headers['x-cache']).to.equal('HIT (exact)');
      expect([idOf(fresh), idOf(fresh)]).to.deep.equal([idOf(hit), idOf(hit)]);
      expect(idOf(old)).to.not.equal(idOf(fresh));
    });
  }

  it('The client control max-age accepts a stored answer that is young enough', async () => {
    const body = newQuestion();
    const stored = await ask(body);
    const hit = await ask(body, { 'cache-control': 'max-age=60' });
    expect(idOf(hit)).to.equal(idOf(stored));
  });

  it('The client control max-age makes a new call when the stored answer is older', async () => {
    const body = newQuestion();
    await ask(body);
    expect((await ask(body, { 'cache-control': 'max-age=1' })).headers['x-cache']).to.equal(
      'HIT (exact)',
    );
    await gateway.pass(1100);
    const reply = await ask(body, { 'cache-control': 'max-age=1' });
    expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=request; detail=max-age');
  });

  it('The client control only-if-cached answers 504 without a call, and from the cache where it can', async () => {
    const body = newQuestion();
    const before = upstream.requests.length;
    const refused = await ask(body, { 'cache-control': 'only-if-cached' });
    expect(refused.status).to.equal(504);
    expect(refused.headers['content-type']).to.equal('application/json');
    expect(refused.headers['cache-status']).to.equal('llm-cache; detail=only-if-cached');
    expect(JSON.parse(refused.text)).to.have.nested.property('error.message').that.is.a('string');
    expect(upstream.requests.length).to.equal(before);
    await ask(body);
    expect((await ask(body, { 'cache-control': 'only-if-cached' })).headers['x-cache']).to.equal(
      'HIT (exact)',
    );
    const both504 = await ask(body, { 'cache-control': 'only-if-cached, max-age=0' });
    expect(both504.status).to.equal(504);
    expect(upstream.requests.length).to.equal(before + 1);
  });

  for (const [asked, seconds] of [
    ['60', 60],
    ['999999', 7200],
    ['0', 3600],
    ['-5', 3600],
    ['1.5', 3600],
    ['soon', 3600],
  ] as const) {
    it(`The client control X-Cache-TTL: ${asked} keeps the answer for ${seconds} seconds`, async () => {
      const body = newQuestion();
      await ask(body, { 'x-cache-ttl': asked });
      const hit = await ask(body);
      const ttl = Number(/ttl=(\d+)/.exec(String(hit.headers['cache-status']))?.[1]);
      expect(ttl).to.be.within(seconds - 2, seconds);
    });
  }

  it('The client control X-Cache-Type bypasses the cache for semantic, but not for exact and both', async () => {
    const body = newQuestion();
    const passed = await ask(body, { 'x-cache-type': 'semantic' });
    expect(passed.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=layer-off');
    await ask(body, { 'x-cache-type': 'exact' });
    expect((await ask(body, { 'x-cache-type': 'both' })).headers['x-cache']).to.equal(
      'HIT (exact)',
    );
    expect((await ask(body, { 'x-cache-type': 'other' })).headers['x-cache']).to.equal(
      'HIT (exact)',
    );
  });

  it('The gateway says fwd=stale for an expired entry, and stores the new answer', async () => {
    const body = newQuestion();
    const old = await ask(body, {}, 'short');
    await gateway.pass(1100);
    const reply = await ask(body, {}, 'short');
    expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=stale');
    expect(idOf(reply)).to.not.equal(idOf(old));
  });

  it('The gateway ignores client controls where the operator turned them off', async () => {
    const body = newQuestion();
    const steering = {
      'cache-control': 'no-cache',
      'x-cache-control': 'refresh',
      'x-cache-ttl': '5',
    };
    await ask(body, steering, 'deaf');
    const hit = await ask(body, steering, 'deaf');
    expect(hit.headers['x-cache']).to.equal('HIT (exact)');
    expect(hit.headers['cache-status']).to.match(/ttl=3(600|599)$/);
  });

  it('The gateway in opt-in mode caches only for requests that ask for it', async () => {
    const body = newQuestion();
    const asking = { 'x-cache-control': 'Cache' };
    for (let count = 0; count < 2; count++) {
      const passed = await ask(body, {}, 'asked');
      expect(passed.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=not-asked');
    }
    const first = await ask(body, asking, 'asked');
    expect(first.headers['cache-status']).to.equal('llm-cache; fwd=miss');
    const again = await ask(body, asking, 'asked');
    expect([again.headers['x-cache'], again.text]).to.deep.equal(['HIT (exact)', first.text]);
    expect((await ask(body, {}, 'asked')).headers).to.not.have.property('x-cache');
  });

  it('The gateway obeys only the client controls that the operator allows', async () => {
    const body = newQuestion();
    const steering = {
      'cache-control': 'no-cache',
      'x-cache-control': 'refresh',
      'x-cache-namespace': 'mine',
      'x-cache-ttl': '5',
    };
    await ask(body, steering, 'timid');
    const hit = await ask(body, {}, 'timid');
    expect(hit.headers['x-cache']).to.equal('HIT (exact)');
    expect(hit.headers['cache-status']).to.match(/ttl=[345]$/);
  });

  it('The client control X-Cache-Namespace keeps the answers of one client apart', async () => {
    const body = newQuestion();
    const plain = await ask(body);
    const one = await ask(body, { 'x-cache-namespace': 'experiment 1' });
    const two = await ask(body, { 'x-cache-namespace': 'experiment 2' });
    expect(new Set([plain, one, two].map(idOf)).size).to.equal(3);
    const again = await ask(body, { 'x-cache-namespace': ' experiment 1 ' });
    expect([again.headers['x-cache'], idOf(again)]).to.deep.equal(['HIT (exact)', idOf(one)]);
    expect(idOf(await ask(body, { 'x-cache-namespace': '' }))).to.equal(idOf(plain));
  });

  it("The client control X-Cache-Namespace reaches no other client's answers", async () => {
    const body = newQuestion();
    const of = (key: string) => ({
      authorization: `Bearer ${key}`,
      'x-cache-namespace': 'the same',
    });
    const first = await ask(body, of('one'));
    const second = await ask(body, of('another'));
    expect(second.headers['cache-status']).to.equal('llm-cache; fwd=miss');
    expect(idOf(second)).to.not.equal(idOf(first));
  });

  it('The gateway with statusHeader always says MISS or BYPASS where the cache did not answer', async () => {
    const body = newQuestion();
    const told = async (headers: Headers = {}) =>
      (await ask(body, headers, 'telling')).headers['x-cache'];
    expect(await told({ 'cache-control': 'only-if-cached' })).to.equal('MISS');
    expect(await told({ 'cache-control': 'no-store' })).to.equal('BYPASS');
    expect(await told()).to.equal('MISS');
    expect(await told()).to.equal('HIT (exact)');
    expect(await told({ 'x-cache-control': 'refresh' })).to.equal('BYPASS');
    expect(await told({ 'x-cache-type': 'semantic' })).to.equal('BYPASS');
  });

  it('The gateway leaves one record per steered request, and bills only fresh answers', async () => {
    const body = { ...newQuestion(), model: 'counted' };
    await ask(body);
    await ask(body, { 'cache-control': 'no-cache' });
    await ask({ ...newQuestion(), model: 'counted' }, { 'cache-control': 'only-if-cached' });
    const seen = await gateway.recorded('counted', 3);
    expect(seen.map((one) => [one.status, one.cache_type, one.billed])).to.deep.equal([
      [200, null, true],
      [200, null, true],
      [504, null, false],
    ]);
  });
});
