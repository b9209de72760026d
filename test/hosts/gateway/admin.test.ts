import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { UsageRecord } from '../../../policies/llm-usage/usage-record.ts';
import { admin, expectError } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

interface Entry {
  readonly key: string;
  readonly hits: number;
  readonly model: string;
  readonly consumer: string | null;
}
interface Row {
  readonly [name: string]: unknown;
  readonly requests: number;
  readonly hits: number;
  readonly billed_tokens: number;
  readonly saved_tokens: number;
  readonly billed_cost: number | null;
  readonly saved_cost: number | null;
}

describe('The admin API', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let ada: { id: string; apiKey: string };
  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        openai: both({ ignoreFields: ['user'], maxRequestBytes: 300_000 }),
        keyed: [{ 'key-auth': {} }, ...both()],
        plain: [],
        spaced: both({ namespace: 'some place' }),
        conditional: [
          { 'llm-usage': {} },
          {
            'llm-cache': [
              { condition: { name: 'llm-request', protocols: ['embeddings'] }, action: {} },
              {
                condition: { name: 'pathMatch', pattern: 'chat' },
                action: { scope: 'consumer' },
              },
            ],
          },
        ],
      }),
      settings: {
        usage: {
          sinks: [
            { type: 'log' },
            { type: 'jsonl', path: 'usage.jsonl' },
            { type: 'prometheus', labels: ['model', 'consumer_id'] },
          ],
          prices: { 'gpt-4o': { input: 3, cachedInput: 0.3, output: 15 } },
        },
      },
    });
    ada = await gateway.createConsumer('ada');
    await gateway.createConsumer('bob');
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });
  beforeEach(() => upstream.answer(json(answers.chat.json)));

  const path = '/openai/v1/chat/completions';
  const question = (content: string, more: object = {}) => ({
    model: 'gpt-4o',
    messages: [{ role: 'user', content }],
    ...more,
  });
  function ask(pipeline: string, body: object, headers: Record<string, string> = {}) {
    return post(`${gateway.url}/${pipeline}/v1/chat/completions`, body, { headers });
  }
  const keyOf = ({ headers }: Reply) => String(headers['x-cache-key']);
  const entriesOf = async (query = '') =>
    (await admin(gateway, `/entries${query}`)).json as unknown as {
      entries: Entry[];
      cursor: string | null;
    };
  const entryPath = (key: string) => `/entries/${encodeURIComponent(key)}`;

  describe('Stats', () => {
    it('The stats count requests by pipeline, outcome and reason, and show every store and sink', async () => {
      const before = (await admin(gateway, '/stats')).json as { pipelines: Record<string, any> };
      expect(before.pipelines['openai']).to.deep.equal({
        requests: 0,
        outcomes: { hit: 0, miss: 0, coalesced: 0, stale: 0, request: 0, bypass: 0 },
        reasons: {},
        notStored: {},
      });
      await ask('openai', question('stats'));
      await ask('openai', question('stats'));
      await ask('openai', question('stats'), { 'cache-control': 'no-cache' });
      await post(`${gateway.url}/openai/v1/chat/completions`, 'x'.repeat(300_001));
      upstream.answer(json('{"error":{}}', {}, 500));
      await ask('openai', question('stats that fail'));
      await ask('plain', question('not counted'));

      const { status, headers, json: stats } = await admin(gateway, '/stats');
      expect(status).to.equal(200);
      expect(headers.get('cache-control')).to.equal('no-store');
      expect(stats['pipelines'])
        .to.have.property('openai')
        .that.deep.equals({
          requests: 5,
          outcomes: { hit: 1, miss: 2, coalesced: 0, stale: 0, request: 1, bypass: 1 },
          reasons: { 'no-cache': 1, 'request-too-large': 1 },
          notStored: { status: 1 },
        });
      expect(stats['pipelines']).to.not.have.property('plain');
      const { memory } = stats['stores'] as { memory: Record<string, number> };
      expect(memory).to.include({
        type: 'memory',
        entries: 1,
        maxBytes: 268435456,
        evictions: 0,
        errors: 0,
        droppedWrites: 0,
        healthy: true,
      });
      expect(memory?.['bytes']).to.be.above(500);
      expect(stats['sinks']).to.deep.equal({
        log: { dropped: 0, failures: 0 },
        'jsonl usage.jsonl': { dropped: 0, failures: 0 },
        prometheus: { dropped: 0, failures: 0 },
      });
    });
  });

  describe('Usage', () => {
    const usage = async (query: string) =>
      (await admin(gateway, `/usage${query}`)).json as { rows: Row[]; total: Row };

    it('The usage report agrees with the records to the token, billed and saved', async () => {
      const asAda = { authorization: `apiKey ${ada.apiKey}` };
      for (const _ of [1, 2, 3]) await ask('keyed', question('usage'), asAda);
      upstream.answer(sse(answers.chat.sse));
      for (const _ of [1, 2]) await ask('keyed', question('usage', { stream: true }), asAda);

      const byConsumer = '?group_by=consumer_id,api_endpoint';
      await eventually(async () => {
        const { rows } = await usage(byConsumer);
        return rows.some((row) => row['consumer_id'] === ada.id && row.requests === 5);
      }, 'five requests in the books');
      const { rows, total } = await usage(byConsumer);
      const row = rows.find((one) => one['consumer_id'] === ada.id);
      const cost = (7 * 3 + 4 * 0.3 + 5 * 15) / 1e6;
      expect(row).to.deep.include({
        consumer_id: ada.id,
        api_endpoint: 'keyed',
        requests: 5,
        hits: 3,
        billed_tokens: 32,
        saved_tokens: 48,
        billed_cost: Math.round(cost * 2 * 1e12) / 1e12,
        saved_cost: Math.round(cost * 3 * 1e12) / 1e12,
        unpriced_requests: 0,
      });

      const read = () =>
        readFileSync(join(gateway.dir, 'usage.jsonl'), 'utf8')
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as UsageRecord);
      await eventually(() => read().length === total.requests, 'all records in the file');
      const records = read();
      const sum = (of: (record: UsageRecord) => number) =>
        records.reduce((all, record) => all + of(record), 0);
      const tokens = (record: UsageRecord) => record.total_tokens ?? 0;
      expect(total.billed_tokens).to.equal(sum((one) => (one.billed ? tokens(one) : 0)));
      expect(total.saved_tokens).to.equal(sum((one) => (one.cache_type ? tokens(one) : 0)));
      expect(total.hits).to.equal(sum((one) => (one.cache_type ? 1 : 0)));
      const saved = sum((one) => (one.cache_type ? (one.total_cost ?? 0) : 0));
      expect(total.saved_cost).to.be.closeTo(saved, 1e-12);
    });

    it('The records of a call and of its hit carry the same cost', async () => {
      const [miss, hit] = (await gateway.recorded('gpt-4o', 2)).filter(
        (one) => one.billed || one.cache_type === 'exact',
      );
      for (const one of [miss, hit]) {
        expect(one).to.include({
          input_cost: (7 * 3 + 4 * 0.3) / 1e6,
          output_cost: 75e-6,
          total_cost: (7 * 3 + 4 * 0.3 + 75) / 1e6,
          costs_calculation_caveat: null,
        });
      }
    });

    it('The usage report shows the days that are asked for', async () => {
      const today = new Date().toISOString().slice(0, 10);
      const { rows } = await usage(`?from=${today}&to=${today}T23:59:59Z&group_by=day,model`);
      expect(rows.length).to.be.above(0);
      for (const row of rows) expect(row['day']).to.equal(today);
      expect(await usage('?to=2020-01-01&group_by=day')).to.deep.include({ rows: [] });
    });

    it('The usage report says what is wrong with a query', async () => {
      expectError(await admin(gateway, '/usage?group_by=colour'), 400, 'group_by', 'api_endpoint');
      expectError(await admin(gateway, '/usage?from=yesterday'), 400, 'from', 'YYYY-MM-DD');
      expectError(await admin(gateway, '/usage?to=2026-02-31'), 400, 'to');
      expectError(await admin(gateway, '/usage?from=2026-02-03&to=2026-02-01'), 400, 'later');
      expectError(await admin(gateway, '/usage?form=2026-02-01'), 400, 'form', 'from');
      expectError(await admin(gateway, '/usage?from=2026-02-01&from=2026-02-01'), 400, 'twice');
    });
  });

  describe('Entries', () => {
    it('The entries list shows what is stored, and how often each entry has answered', async () => {
      const body = question('entries', { model: 'listed' });
      const first = await ask('openai', body);
      await ask('openai', body);
      await ask('openai', body);
      const { entries, cursor } = await entriesOf('?model=listed&namespace=openai');
      expect(cursor).to.equal(null);
      expect(entries.length).to.equal(1);
      expect(entries[0]).to.deep.include({
        key: keyOf(first),
        store: 'memory',
        namespace: 'openai',
        protocol: 'chat',
        model: 'gpt-4o-2024-08-06',
        requestedModel: 'listed',
        consumer: null,
        stream: false,
        bytes: Buffer.byteLength(answers.chat.json),
        hits: 2,
      });
      const { headers, usage, responseId } = (await admin(gateway, entryPath(keyOf(first)))).json;
      expect(headers).to.deep.equal({ 'content-type': 'application/json' });
      expect(usage).to.deep.include({ inputTokens: 11, outputTokens: 5 });
      expect(responseId).to.be.a('string');
    });

    it('The entries list goes from page to page, and shows each entry once', async () => {
      const namespace = encodeURIComponent('some place');
      for (let at = 0; at < 7; at++) await ask('spaced', question(`page ${at}`));
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const next: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
        const page = await entriesOf(`?namespace=${namespace}&limit=3${next}`);
        expect(page.entries.length).to.be.at.most(3);
        seen.push(...page.entries.map(({ key }) => key));
        ({ cursor } = page);
      } while (cursor !== null);
      expect(seen.length).to.equal(7);
      expect(new Set(seen).size).to.equal(7);
    });

    it('The entries list sorts by size and by use', async () => {
      const large = { ...JSON.parse(answers.chat.json), padding: 'x'.repeat(100_000) } as object;
      upstream.answer(json(JSON.stringify(large)));
      const largest = await ask('openai', question('the largest'));
      upstream.answer(json(answers.chat.json));
      const most = await ask('openai', question('the most used'));
      for (let at = 0; at < 5; at++) await ask('openai', question('the most used'));
      const first = async (sort: string) => (await entriesOf(`?sort=${sort}&limit=2`)).entries[0];
      expect((await first('bytes'))?.key).to.equal(keyOf(largest));
      expect((await first('hits'))?.key).to.equal(keyOf(most));
    });

    it('The entries route deletes one entry by its key, whatever its name, and answers 404 if there is none', async () => {
      const body = question('one bad answer');
      const key = keyOf(await ask('spaced', body));
      expect(key).to.contain('%20');
      const dry = await admin(gateway, `${entryPath(key)}?dry_run=1`, { method: 'DELETE' });
      expect(dry.json).to.deep.equal({ matched: 1, deleted: 0 });
      expect((await ask('spaced', body)).headers['x-cache']).to.equal('HIT (exact)');
      const done = await admin(gateway, entryPath(key), { method: 'DELETE' });
      expect(done.json).to.deep.equal({ matched: 1, deleted: 1 });
      expect((await ask('spaced', body)).headers).to.not.have.property('x-cache');
      // As somebody types it who does not know of the percent sign.
      expect((await admin(gateway, `/entries/${key}`)).status).to.equal(200);
      for (const method of ['GET', 'DELETE']) {
        expectError(await admin(gateway, '/entries/no:such:key', { method }), 404, 'no entry');
      }
    });

    it('The entries route purges by filter, all only with all=1, and nothing in a dry run', async () => {
      const asAda = { authorization: `apiKey ${ada.apiKey}` };
      await ask('keyed', question('purge'), asAda);
      await ask('openai', question('purge'));
      const purge = (query: string) => admin(gateway, `/entries${query}`, { method: 'DELETE' });
      expectError(await purge(''), 400, 'namespace', 'all=1');
      expectError(await purge('?all=0'), 400);
      expectError(await purge('?consumer='), 400, 'consumer');
      expectError(await purge('?modell=x'), 400, 'modell', 'model');
      const dry = (await purge(`?consumer=${ada.id}&dry_run=1`)).json;
      expect(dry['matched']).to.be.at.least(1);
      expect(dry['deleted']).to.equal(0);
      expect((await purge(`?consumer=${ada.id}`)).json).to.deep.equal({
        matched: dry['matched'],
        deleted: dry['matched'],
      });
      expect((await entriesOf(`?consumer=${ada.id}`)).entries).to.deep.equal([]);
      expect((await entriesOf('?namespace=openai')).entries.length).to.be.above(0);
      expect((await purge('?all=1')).json['deleted']).to.be.above(0);
      expect(await entriesOf()).to.deep.equal({ entries: [], cursor: null });
    });

    it('The entries route says what is wrong with a query', async () => {
      expectError(await admin(gateway, '/entries?limit=0'), 400, 'limit');
      expectError(await admin(gateway, '/entries?limit=ten'), 400, 'limit');
      expectError(await admin(gateway, '/entries?cursor=nonsense'), 400, 'cursor');
      expectError(await admin(gateway, '/entries?store=nowhere'), 400, 'store', 'memory');
      for (const sort of ['age', 'constructor', '__proto__']) {
        expectError(await admin(gateway, `/entries?sort=${sort}`), 400, 'sort', 'bytes, hits');
      }
    });
  });

  describe('Explain', () => {
    const explain = (asked: unknown, contentType = 'application/json') =>
      admin(gateway, '/explain', {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: typeof asked === 'string' ? asked : JSON.stringify(asked),
      });
    const about = (body: unknown, more: object = {}) =>
      explain({ apiEndpoint: 'openai', path, headers: {}, consumer: null, body, ...more });

    it("The explain route tells a request's key, what it is made of, and that it would hit", async () => {
      const body = question('explain', { user: 'someone', temperature: 0.5 });
      const headers = { 'openai-beta': 'x', authorization: 'Bearer a secret of ours' };
      const key = keyOf(await ask('openai', body, headers));
      const { text, json: told } = await about(body, { headers });
      expect(told).to.deep.include({ outcome: 'hit', reason: null, key, nearest: [] });
      expect(told['rule']).to.match(/^a fresh answer is stored under this key, \d+ s old$/);
      expect(told['material']).to.deep.equal({
        namespace: 'openai',
        scope: { kind: 'credential', consumer: null, headers: ['authorization'] },
        protocol: 'chat',
        stream: false,
        path,
        query: [],
        headers: ['openai-beta'],
        members: ['model', 'messages', 'temperature'],
        ignored: ['user'],
        canonical: true,
      });
      expect(text).to.not.contain('a secret of ours');
    });

    it('The explain route names the member in which the nearest stored request differs', async () => {
      const stored = keyOf(await ask('openai', question('differs', { temperature: 0 })));
      const { json: told } = await about(question('differs', { temperature: 0.1 }));
      expect(told).to.include({ outcome: 'miss', reason: null });
      const [first] = told['nearest'] as { key: string; differs: string[] }[];
      expect(first).to.deep.include({ key: stored, differs: ['temperature'] });
      expect(JSON.stringify(told)).to.not.contain('0.1');
    });

    it('The explain route names the scope where another tenant has the answer', async () => {
      const asAda = { authorization: `apiKey ${ada.apiKey}` };
      const stored = keyOf(await ask('keyed', question('scoped'), asAda));
      const at = { apiEndpoint: 'keyed', path: '/keyed/v1/chat/completions' };
      const own = (await about(question('scoped'), { ...at, consumer: ada.id })).json;
      expect(own).to.include({ outcome: 'hit', key: stored });
      const other = (await about(question('scoped'), { ...at, consumer: 'bob' })).json;
      expect(other['outcome']).to.equal('miss');
      const [first] = other['nearest'] as { key: string; differs: string[] }[];
      expect(first).to.deep.include({ key: stored, differs: ['scope'] });
    });

    it('The explain route names a header and a query that differ, and shows no query value', async () => {
      await ask('openai', question('parts'), { 'openai-beta': 'one' });
      const { text, json: told } = await about(question('parts'), {
        path: `${path}?api-version=of-ours`,
        headers: { 'openai-beta': 'two' },
      });
      const [first] = told['nearest'] as { differs: string[] }[];
      expect(first?.differs).to.have.members(['query', 'header openai-beta']);
      expect(told['material']).to.deep.include({ query: ['api-version'] });
      expect(text).to.not.contain('of-ours');
    });

    it('The explain route tells why the cache would stand aside', async () => {
      const outcome = async (...asked: Parameters<typeof about>) => {
        const { json: told } = await about(...asked);
        return [told['outcome'], told['reason']];
      };
      const body = question('aside');
      const control = (value: string) => ({ headers: { 'cache-control': value } });
      expect(await outcome(body, control('no-cache'))).to.deep.equal(['request', 'no-cache']);
      expect(await outcome(body, control('max-age=0'))).to.deep.equal(['request', 'max-age']);
      expect(await outcome(body, control('only-if-cached'))).to.deep.equal([
        'miss',
        'only-if-cached',
      ]);
      expect(await outcome('{"model":')).to.deep.equal(['bypass', 'not-json']);
      expect(await outcome({ model: 'm', conversation: 'c' }, { path: '/openai/responses' }))
        .to //
        .deep.equal(['bypass', 'stateful']);
      expect(await outcome(body, { path: '/openai/v1/models' })).to.deep.equal(['pass', null]);
    });

    it('The explain route goes by the step whose condition holds', async () => {
      const at = (to: string, consumer: string | null = null) =>
        about(question('steps'), { apiEndpoint: 'conditional', path: to, consumer });
      expect((await at('/conditional/v1/chat/completions')).json).to.deep.include({
        pipeline: 'conditional',
        step: 1,
        outcome: 'bypass',
        reason: 'no-scope',
      });
      expect((await at('/conditional/v1/chat/completions', 'bob')).json).to.include({
        outcome: 'miss',
      });
      expect((await at('/conditional/v1/messages')).json).to.include({ outcome: 'pass' });
      expect((await about(question('x'), { apiEndpoint: 'plain' })).json).to.include({
        pipeline: 'plain',
        outcome: 'pass',
      });
    });

    it('The explain route takes large questions as text, and the exact bytes of a body', async () => {
      const body = JSON.stringify(question('y'.repeat(200_000)));
      const key = keyOf(await post(`${gateway.url}${path}`, body));
      const asked = JSON.stringify({ apiEndpoint: 'openai', path, body });
      expect((await explain(asked, 'text/plain')).json).to.include({ outcome: 'hit', key });
      expectError(await explain(asked), 413, 'text/plain');
    });

    it('The explain route takes a body of too many values to be canonical, as an object or as its bytes', async () => {
      const body = `{"model":"m","messages":[],"metadata":[${'1,'.repeat(120_000)}1]}`;
      const key = keyOf(await post(`${gateway.url}${path}`, body));
      for (const asked of [
        `{"apiEndpoint":"openai","path":"${path}","body":${body}}`,
        JSON.stringify({ apiEndpoint: 'openai', body, path }),
      ]) {
        const { json: explained } = await explain(asked, 'text/plain');
        expect(explained).to.include({ outcome: 'hit', key });
        expect(explained).to.have.nested.property('material.canonical', false);
      }
      const rest = { apiEndpoint: 'openai', path, headers: { x: 'y'.repeat(100_000) }, body: {} };
      expectError(await explain(JSON.stringify(rest), 'text/plain'), 413, '"body"');
    });

    it('The explain route says what is wrong with a question', async () => {
      expectError(await explain('{"apiEndpoint":'), 400, 'not JSON');
      expectError(await explain('nonsense', 'text/plain'), 400, 'not JSON');
      expectError(await explain([]), 400, 'object');
      expectError(await explain({ apiEndpoint: 'openai', path }), 400, '"body" is missing');
      expectError(await about(42), 400, 'body');
      expectError(await about({}, { apiEndpoint: 'nowhere' }), 400, 'apiEndpoint', 'openai, keyed');
      expectError(await about({}, { apiendpoint: 'openai' }), 400, 'apiendpoint', 'apiEndpoint');
      expectError(await about({}, { path: 'v1' }), 400, 'path');
    });
  });

  describe('Metrics', () => {
    it('The metrics route gives Prometheus text, and counts what the stats count', async () => {
      const { headers, text } = await admin(gateway, '/metrics');
      expect(headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
      const { pipelines } = (await admin(gateway, '/stats')).json as {
        pipelines: Record<string, { outcomes: Record<string, number> }>;
      };
      const line =
        'llm_cache_requests_total{pipeline="openai",protocol="chat",outcome="hit",reason=""} ';
      const hits = text.split('\n').find((one) => one.startsWith(line));
      expect(Number(hits?.slice(line.length))).to.equal(pipelines['openai']?.outcomes['hit']);
      expect(text).to.match(/llm_usage_tokens_total\{[^}]*model="gpt-4o-2024-08-06"[^}]*\} \d+/);
      expect(text).to.match(/llm_cache_time_to_first_byte_seconds_bucket\{le="0.001",pipeline=/);
      expect(text).to.match(/llm_cache_lookup_duration_seconds_count\{store="memory"\} \d+/);
    });
  });

  describe('The admin API as a whole', () => {
    it('The admin API answers an unknown route or parameter with a JSON error', async () => {
      expectError(await admin(gateway, '/nothing'), 404, 'GET');
      expectError(await admin(gateway, '/stats', { method: 'POST' }), 404, 'POST');
      expectError(await admin(gateway, '/stats?x=1'), 400, 'x');
    });

    it('The admin API serves the dashboard without a trailing slash, and redirects one with it', async () => {
      const { status, text, headers } = await admin(gateway, '/');
      expect(status).to.equal(200);
      expect(text).to.contain('llm-cache/dashboard.js');
      expect(headers.get('content-security-policy')).to.contain("default-src 'none'");
      const response = await fetch(`${gateway.adminUrl}/llm-cache/`, { redirect: 'manual' });
      expect([response.status, response.headers.get('location')]).to.deep.equal([
        308,
        '../llm-cache',
      ]);
    });

    it("The plugin leaves the gateway's own admin API as it is", async () => {
      const response = await fetch(`${gateway.adminUrl}/pipelines`);
      expect(response.status).to.equal(200);
      const broken = await fetch(`${gateway.adminUrl}/users`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{',
      });
      expect(broken.status).to.equal(500);
    });

    it('The admin API and the log show no prompt and no credential', async () => {
      const secret = 'prompt-of-nobody-else';
      await ask('openai', question(secret), { authorization: 'Bearer credential-of-nobody-else' });
      for (const shown of [
        '/stats',
        '/usage?group_by=model,consumer_id',
        '/usage?group_by=model&format=csv',
        '/budgets',
        '/requests',
        '/entries',
        '/metrics',
      ]) {
        const { text } = await admin(gateway, shown);
        expect(text, shown).to.not.contain('of-nobody-else');
      }
      expect(gateway.log).to.not.contain('of-nobody-else');
    });
  });
});
