import { expect } from 'chai';
import { admin, expectError } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

interface Shown {
  readonly id: string;
  readonly [name: string]: unknown;
}
interface Told {
  readonly request: Shown;
  readonly entry: { readonly key: string } | null;
  readonly nearest: readonly { readonly key: string; readonly differs: readonly string[] }[];
}

describe('The recent requests in the admin API', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let ada: { id: string; apiKey: string };
  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        openai: both(),
        keyed: [{ 'key-auth': {} }, ...both()],
        unbooked: both().slice(1),
        uncached: [{ 'llm-usage': {} }],
        stale: both({ ttl: 1, staleIfError: 3600 }),
      }),
      settings: { usage: { prices: { 'gpt-4o': { input: 3, output: 15 } } } },
    });
    ada = await gateway.createConsumer('ada');
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.close();
  });
  beforeEach(() => upstream.answer(json(answers.chat.json)));

  const question = (content: string, more: object = {}) => ({
    model: 'gpt-4o',
    messages: [{ role: 'user', content }],
    ...more,
  });
  const ask = (pipeline: string, body: unknown, headers: Record<string, string> = {}) =>
    post(`${gateway.url}/${pipeline}/v1/chat/completions`, body as object, { headers });
  const keyOf = ({ headers }: Reply) => String(headers['x-cache-key']);
  const list = async (query = '') =>
    (await admin(gateway, `/requests${query}`)).json['requests'] as Shown[];
  /** The requests with that key, once there are so many. */
  async function under(key: string, count: number): Promise<Shown[]> {
    const found = () => list(`?key=${encodeURIComponent(key)}`);
    await eventually(async () => (await found()).length === count, `${count} requests of ${key}`);
    return found();
  }
  const tell = async ({ id }: Shown) =>
    (await admin(gateway, `/requests/${id}`)).json as unknown as Told;

  it('The requests route tells what each request was, what became of it, and what it cost or saved', async () => {
    const headers = { authorization: `apiKey ${ada.apiKey}` };
    const key = keyOf(await ask('keyed', question('a secret of ours'), headers));
    await ask('keyed', question('a secret of ours'), headers);
    const [hit, miss] = await under(key, 2);
    const common = {
      pipeline: 'keyed',
      apiEndpoint: 'keyed',
      protocol: 'chat',
      model: 'gpt-4o-2024-08-06',
      requestedModel: 'gpt-4o',
      consumer: ada.id,
      consumerName: 'ada',
      stream: false,
      status: 200,
      inputTokens: 11,
      outputTokens: 5,
      totalTokens: 16,
      reason: null,
      notStored: null,
    };
    expect(miss).to.include({ ...common, outcome: 'miss', billed: true, key });
    expect(hit).to.include({ ...common, outcome: 'hit', billed: false, key });
    expect(hit!['cost']).to.be.above(0).and.to.equal(miss!['cost']);
    expect(Date.parse(String(miss!['time']))).to.be.closeTo(Date.now(), 60_000);
    expect(miss!['durationMs']).to.be.a('number');
    const { text } = await admin(gateway, '/requests');
    for (const secret of ['a secret of ours', ada.apiKey, 'fingerprint']) {
      expect(text).to.not.contain(secret);
    }
  });

  it("The requests route names a miss's nearest stored request, and the members that differ", async () => {
    const stored = keyOf(await ask('openai', question('nearest', { temperature: 0 })));
    const key = keyOf(await ask('openai', question('nearest', { temperature: 1 })));
    const [miss] = await under(key, 1);
    await eventually(async () => (await tell(miss!)).nearest.length > 0, 'the fingerprint');
    const { entry, nearest } = await tell(miss!);
    expect(entry?.key).to.equal(key);
    expect(nearest[0]).to.deep.include({ key: stored, differs: ['temperature'] });
    expect(nearest.map((one) => one.key)).to.not.include(key);
  });

  it('The requests route names the entry that answered a hit, as long as it is stored', async () => {
    const key = keyOf(await ask('openai', question('hit')));
    await ask('openai', question('hit'));
    const [hit] = await under(key, 2);
    expect(await tell(hit!))
      .to.deep.include({ nearest: [] })
      .and.have.nested.include({
        'entry.key': key,
        'entry.hits': 1,
      });
    await admin(gateway, `/entries/${encodeURIComponent(key)}`, { method: 'DELETE' });
    expect((await tell(hit!)).entry).to.equal(null);
  });

  it('The requests route says why the cache stood aside, and why an answer was not stored', async () => {
    await ask('openai', question('aside'), { 'cache-control': 'no-cache' });
    upstream.answer(json('{"error":{}}', {}, 500));
    const failed = keyOf(await ask('openai', question('failing')));
    await ask('openai', '{"model":');
    const [unstored] = await under(failed, 1);
    expect(unstored).to.include({ outcome: 'miss', notStored: 'status', status: 500, cost: null });
    await eventually(async () => (await list('?reason=not-json')).length === 1, 'not-json');
    expect((await list('?reason=no-cache'))[0]).to.include({ outcome: 'request', key: null });
    expect((await list('?reason=status')).map(({ key }) => key)).to.deep.equal([failed]);
  });

  it('The requests route marks an answer from an expired entry as stale', async () => {
    const key = keyOf(await ask('stale', question('expired')));
    await eventually(async () => {
      upstream.answer(json('{"error":{}}', {}, 503));
      return String((await ask('stale', question('expired'))).headers['x-cache']) === 'HIT (stale)';
    }, 'the entry has expired');
    await eventually(async () => (await list('?outcome=stale')).length === 1, 'a stale answer');
    const [stale] = await list('?outcome=stale');
    expect(stale).to.include({ key, expired: true, status: 200, billed: false });
  });

  it('The requests route lists streams with their tokens', async () => {
    upstream.answer(sse(answers.chat.sse));
    const key = keyOf(await ask('openai', question('stream', { stream: true })));
    const [miss] = await under(key, 1);
    expect(miss).to.include({ stream: true, outcome: 'miss', totalTokens: 16 });
  });

  it('The requests route lists requests without llm-usage, and those without llm-cache', async () => {
    const key = keyOf(await ask('unbooked', question('no books')));
    const [unbooked] = await under(key, 1);
    expect(unbooked).to.include({
      outcome: 'miss',
      model: 'gpt-4o-2024-08-06',
      totalTokens: 16,
      cost: null,
      billed: true,
    });
    await ask('uncached', question('no cache'));
    await eventually(async () => (await list('?pipeline=uncached')).length === 1, 'a pass');
    expect((await list('?pipeline=uncached'))[0]).to.include({ outcome: 'pass', key: null });
  });

  it('The requests route filters by each of its names, newest first, and refuses other names', async () => {
    expect((await list('?model=gpt-4o&limit=3')).length).to.equal(3);
    expect((await list('?consumer=ada')).every((one) => one['consumer'] === ada.id)).to.equal(true);
    expect(await list('?outcome=coalesced')).to.deep.equal([]);
    const times = (await list()).map((one) => String(one['time']));
    expect(times).to.deep.equal(times.toSorted().toReversed());
    expectError(await admin(gateway, '/requests?consumer=nemo'), 404, 'no consumer');
    expectError(await admin(gateway, '/requests?limit=1000'), 400, 'limit', '500');
    expectError(
      await admin(gateway, '/requests?outcome=misses'),
      400,
      'outcome',
      'miss, coalesced',
    );
    expectError(await admin(gateway, '/requests?prompt=x'), 400, 'prompt', 'pipeline');
    expectError(await admin(gateway, '/requests/unknown'), 404, 'no recent request');
  });
});

describe('The recent requests, switched off', () => {
  it('The requests route answers 404 when switched off, and names the setting', async () => {
    const upstream = await Upstream.start();
    const gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { openai: both() }),
      settings: { admin: { recentRequests: 0 } },
    });
    try {
      upstream.answer(json(answers.chat.json));
      const body = { model: 'gpt-4o', messages: [] };
      await post(`${gateway.url}/openai/v1/chat/completions`, body);
      for (const path of ['/requests', '/requests/1']) {
        expectError(await admin(gateway, path), 404, 'admin.recentRequests is 0');
      }
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
});
