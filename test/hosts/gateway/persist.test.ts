import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

const secret = 'the secret of these tests';
const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64');

describe('A memory store with persist', () => {
  let upstream: Upstream;
  let dir: string;
  let path: string;
  const running = new Set<Gateway>();
  before(async () => {
    upstream = await Upstream.start();
  });
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'llm-cache-persist-'));
    path = join(dir, 'made', 'entries.snapshot');
  });
  afterEach(async () => {
    await Promise.all([...running].map((gateway) => gateway.stop('SIGKILL')));
    running.clear();
    rmSync(dir, { recursive: true });
  });
  after(() => upstream.close());

  async function start(store: object = {}, more: object = {}): Promise<Gateway> {
    const memory = { type: 'memory', persist: { path }, ...store };
    const gateway = await Gateway.start({
      settings: { scopeSecret: secret, stores: { memory }, ...more },
      gateway: gatewayConfig(upstream.url, { api: both() }),
    });
    running.add(gateway);
    return gateway;
  }
  async function stop(gateway: Gateway, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await gateway.stop(signal);
    running.delete(gateway);
  }
  const ask = ({ url }: Gateway, model: string, more: object = {}) =>
    post(`${url}/api/v1/chat/completions`, { model, messages: [], ...more });
  const statusOf = async (...asked: Parameters<typeof ask>) =>
    (await ask(...asked)).headers['cache-status'];

  it('The persisted store answers after a restart what it had stored before, streams as well', async () => {
    const first = await start();
    upstream.answer(json(answers.chat.json));
    await ask(first, 'json');
    upstream.answer(sse(answers.chat.sse));
    await ask(first, 'stream', { stream: true });
    await stop(first);
    expect(statSync(path).mode & 0o777).to.equal(0o600);

    const asked = upstream.requests.length;
    const second = await start();
    await second.logged(/has read 2 entries/);
    expect((await ask(second, 'json')).text).to.equal(answers.chat.json);
    const hit = await ask(second, 'stream', { stream: true });
    expect([hit.text, hit.headers['x-cache']]).to.deep.equal([answers.chat.sse, 'HIT (exact)']);
    expect(upstream.requests.length).to.equal(asked);
  });

  it('The persisted store is encrypted in its file, and readable after a key rotation', async () => {
    upstream.answer(json(answers.chat.json));
    const first = await start({ encryptionKeys: [keyOf(1)] });
    await ask(first, 'm');
    await stop(first, 'SIGINT');
    expect(readFileSync(path).includes('Hello there')).to.equal(false);
    const second = await start({ encryptionKeys: [keyOf(2), keyOf(1)] });
    await second.logged(/has read 1 entries/);
    expect(await statusOf(second, 'm')).to.match(/^llm-cache; hit/);
  });

  it('The persisted store is written at intervals, and survives a kill', async () => {
    upstream.answer(json(answers.chat.json));
    const first = await start({ persist: { path, everySeconds: 1 } });
    await ask(first, 'm');
    await eventually(() => existsSync(path), 'the file is written');
    await stop(first, 'SIGKILL');
    const second = await start();
    await second.logged(/has read 1 entries/);
    expect(await statusOf(second, 'm')).to.match(/^llm-cache; hit/);
  });

  it('The persisted store starts empty from a foreign file, which it logs and keeps', async () => {
    const other = join(dir, 'foreign.txt');
    writeFileSync(other, 'what somebody else keeps');
    const gateway = await start({ persist: { path: other } });
    await gateway.logged(/has read 0 entries from .*: it is not a cache snapshot/);
    upstream.answer(json(answers.chat.json));
    expect(await statusOf(gateway, 'm')).to.contain('fwd=miss');
    await stop(gateway);
    expect(readFileSync(`${other}.unread`, 'utf8')).to.equal('what somebody else keeps');
  });

  describe('The export and import routes', () => {
    const exportFrom = ({ adminUrl }: Gateway, query = '') =>
      fetch(`${adminUrl}/llm-cache/export${query}`);
    const importInto = ({ adminUrl }: Gateway, body: BodyInit, more: RequestInit = {}) =>
      fetch(`${adminUrl}/llm-cache/import`, {
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream' },
        body,
        ...more,
      });

    it('The export and import routes take the entries of one gateway into another', async () => {
      upstream.answer(json(answers.chat.json));
      const one = await start();
      for (const model of ['a', 'b', 'c']) await ask(one, model);
      const exported = await exportFrom(one);
      expect(exported.status).to.equal(200);
      expect(exported.headers.get('content-type')).to.equal('application/octet-stream');
      expect(exported.headers.get('content-disposition')).to.match(/llm-cache-.*\.snapshot/);
      const bytes = await exported.arrayBuffer();
      await stop(one);
      // The same format.
      const file = readFileSync(path);
      expect(Buffer.from(bytes).subarray(0, 41)).to.deep.equal(file.subarray(0, 41));

      path = join(dir, 'other.snapshot');
      const other = await start();
      const into = async (from: ArrayBuffer) => (await importInto(other, from)).json();
      expect(await into(bytes)).to.deep.equal({ imported: 3, skipped: 0, refused: 0 });
      expect(await into(bytes)).to.deep.equal({ imported: 0, skipped: 3, refused: 0 });
      expect(await statusOf(other, 'b')).to.match(/^llm-cache; hit/);
    });

    it('The export route takes only the entries asked for', async () => {
      upstream.answer(json(answers.chat.json));
      const gateway = await start();
      for (const model of ['a', 'b']) await ask(gateway, model);
      const bytes = await (await exportFrom(gateway, '?model=a&store=memory')).arrayBuffer();
      await fetch(`${gateway.adminUrl}/llm-cache/entries?all=1`, { method: 'DELETE' });
      expect(await (await importInto(gateway, bytes)).json()).to.include({ imported: 1 });
      expect(await statusOf(gateway, 'a')).to.match(/^llm-cache; hit/);
      expect(await statusOf(gateway, 'b')).to.contain('fwd=miss');
    });

    it('The import route refuses what is no export, is damaged, or has another secret', async () => {
      upstream.answer(json(answers.chat.json));
      const gateway = await start();
      for (const model of ['a', 'b']) await ask(gateway, model);
      const bytes = Buffer.from(await (await exportFrom(gateway)).arrayBuffer());
      await fetch(`${gateway.adminUrl}/llm-cache/entries?all=1`, { method: 'DELETE' });
      const refusal = async (body: BodyInit, more: RequestInit = {}) => {
        const answer = await importInto(gateway, body, more);
        const { error } = (await answer.json()) as { error: { message: string } };
        return `${answer.status} ${error.message}`;
      };
      expect(await refusal('no export')).to.match(/^400 .*not a cache snapshot/);
      expect(await refusal(new Uint8Array(1024 * 1024))).to.match(/^400 .*not a cache snapshot/);
      expect(await refusal(bytes.subarray(0, -10))).to.match(
        /^400 .*damaged after 2 entries; 2 entries were imported/,
      );
      const form = { headers: { 'content-type': 'application/x-www-form-urlencoded' } };
      expect(await refusal(bytes, form)).to.match(/^415 .*octet-stream/);
      const parsed = { headers: { 'content-type': 'application/json' } };
      expect(await refusal('{}', parsed)).to.match(/^415 .*octet-stream/);
      const foreign = {
        headers: { 'content-type': 'application/octet-stream', origin: 'http://evil.test' },
      };
      expect(await refusal(bytes, foreign)).to.match(/^403/);
      await stop(gateway);

      path = join(dir, 'other.snapshot');
      const other = await start({}, { scopeSecret: 'another' });
      const answer = await importInto(other, bytes);
      expect(await answer.text()).to.contain('another scopeSecret or encryption key');
      expect((await exportFrom(other, '?store=nowhere')).status).to.equal(400);
    });

    it('The export and import routes take entries of a memory store into Redis, and back', async function () {
      if (!hasRedis()) return this.skip();
      const redis = await RedisServer.start();
      try {
        upstream.answer(json(answers.chat.json));
        const memory = await start();
        for (let at = 0; at < 30; at++) await ask(memory, `m${at}`);
        const bytes = await (await exportFrom(memory)).arrayBuffer();
        const shared = await Gateway.start({
          settings: {
            scopeSecret: secret,
            stores: { shared: { type: 'redis', url: redis.url } },
          },
          gateway: gatewayConfig(upstream.url, { api: both({ store: 'shared' }) }),
        });
        running.add(shared);
        const route = `${shared.adminUrl}/llm-cache/import?store=shared`;
        const headers = { 'content-type': 'application/octet-stream' };
        const imported = await fetch(route, { method: 'POST', headers, body: bytes });
        expect(await imported.json()).to.deep.equal({ imported: 30, skipped: 0, refused: 0 });
        expect(await statusOf(shared, 'm29')).to.match(/^llm-cache; hit/);

        const back = await (await exportFrom(shared, '?store=shared')).arrayBuffer();
        await fetch(`${memory.adminUrl}/llm-cache/entries?all=1`, { method: 'DELETE' });
        expect(await (await importInto(memory, back)).json()).to.include({ imported: 30 });
      } finally {
        await redis.close();
      }
    });

    it('The export route asks which store is meant where there are several', async () => {
      const gateway = await start(
        {},
        {
          stores: { memory: { type: 'memory' }, second: { type: 'memory' } },
        },
      );
      const answer = await exportFrom(gateway);
      expect(answer.status).to.equal(400);
      expect(await answer.text()).to.contain('must be one of memory, second');
      expect((await exportFrom(gateway, '?store=second')).status).to.equal(200);
    });
  });
});
