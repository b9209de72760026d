import net from 'node:net';
import { expect } from 'chai';
import { admin } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post, type Reply } from '../../support/http.ts';
import { both } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

const proxies = {
  plain: {},
  'own-host': { changeOrigin: false },
  forwarded: { xfwd: true },
} as const;

describe('What an upstream reads beside the body', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    upstream = await Upstream.start();
    const names = [...Object.keys(proxies), 'by-endpoint'];
    const proxy = (name: string) => ({
      serviceEndpoint: name === 'by-endpoint' ? 'told' : 'upstream',
      ...proxies[name as keyof typeof proxies],
    });
    gateway = await Gateway.start({
      gateway: {
        apiEndpoints: Object.fromEntries(names.map((name) => [name, { paths: [`/${name}/*`] }])),
        serviceEndpoints: {
          upstream: { url: upstream.url },
          told: { url: upstream.url, proxyOptions: { changeOrigin: false } },
        },
        policies: ['llm-usage', 'llm-cache', 'proxy'],
        pipelines: Object.fromEntries(
          names.map((name) => [
            name,
            { apiEndpoints: [name], policies: [...both(), { proxy: { action: proxy(name) } }] },
          ]),
        ),
      },
    });
  });
  beforeEach(() => upstream.answer(json(answers.chat.json)));
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  const newQuestion = () => ({ model: `unkeyed ${++question}`, messages: [] });
  const urlOf = (pipeline: string, query = '') =>
    `${gateway.url}/${pipeline}/v1/chat/completions${query}`;
  const verdict = ({ headers }: Reply) => headers['x-cache'] ?? headers['cache-status'];
  /** What becomes of the same question, asked with each of the headers. */
  async function ask(pipeline: string, ...senders: Record<string, string>[]) {
    const body = newQuestion();
    const found = [];
    for (const headers of senders) {
      found.push(verdict(await post(urlOf(pipeline), body, { headers })));
    }
    return found;
  }
  const miss = 'llm-cache; fwd=miss';
  const hit = 'HIT (exact)';

  for (const pipeline of ['own-host', 'forwarded', 'by-endpoint']) {
    it(`The gateway (${pipeline}) keeps hosts apart where the upstream gets the host`, async () => {
      const hosts = ['a.test', 'b.test', 'a.test'].map((host) => ({ host }));
      expect(await ask(pipeline, ...hosts)).to.deep.equal([miss, miss, hit]);
    });
  }

  it('The gateway shares answers between hosts where the upstream does not get the host', async () => {
    expect(await ask('plain', { host: 'a.test' }, { host: 'b.test' })).to.deep.equal([miss, hit]);
    expect(upstream.last.headers.host).to.equal(new URL(upstream.url).host);
  });

  it('The gateway keeps answers apart by X-Forwarded-Host, which is passed on', async () => {
    const senders = ['a.test', 'b.test'].map((host) => ({ 'x-forwarded-host': host }));
    expect(await ask('plain', ...senders)).to.deep.equal([miss, miss]);
    expect(upstream.last.headers['x-forwarded-host']).to.equal('b.test');
  });

  it('The gateway stands aside for a body that is not declared JSON in UTF-8', async () => {
    const types = ['application/x-www-form-urlencoded', 'application/json; charset=utf-7'];
    const senders = ['application/json', ...types].map((type) => ({ 'content-type': type }));
    expect(await ask('plain', ...senders)).to.deep.equal([
      miss,
      'llm-cache; fwd=bypass; detail=not-json',
      'llm-cache; fwd=bypass; detail=not-utf8',
    ]);
  });

  it('The gateway stands aside for a POST that is another method to the upstream', async () => {
    const override = { 'x-http-method-override': 'DELETE' };
    expect(await ask('plain', {}, override)).to.deep.equal([
      miss,
      'llm-cache; fwd=bypass; detail=stateful',
    ]);
  });

  it('The gateway stores and shares no events that only Accept asked for', async () => {
    upstream.answer((request, res) =>
      request.headers.accept === 'text/event-stream'
        ? sse(answers.chat.sse)(request, res)
        : json(answers.chat.json)(request, res),
    );
    const events = { accept: 'text/event-stream' };
    expect(await ask('plain', events, {}, events, {})).to.deep.equal([miss, miss, miss, hit]);
  });

  it('The gateway delivers an answer of another type than asked for, and does not store it', async () => {
    const notStored = async () => {
      const { json: stats } = await admin(gateway, '/stats');
      const { pipelines } = stats as {
        pipelines: Record<string, { notStored: Record<string, number> }>;
      };
      return pipelines['plain']?.notStored['content-type'] ?? 0;
    };
    const before = await notStored();
    upstream.answer(sse(answers.chat.sse));
    const asked = newQuestion();
    const reply = await post(urlOf('plain'), asked);
    expect(reply.text).to.equal(answers.chat.sse);
    await eventually(async () => (await notStored()) === before + 1, 'the stream is not stored');
    upstream.answer(json(answers.chat.json));
    expect(verdict(await post(urlOf('plain'), asked))).to.equal(miss);

    const stream = { ...newQuestion(), stream: true };
    expect((await post(urlOf('plain'), stream)).text).to.equal(answers.chat.json);
    await eventually(async () => (await notStored()) === before + 2, 'the JSON is not stored');
    expect(verdict(await post(urlOf('plain'), stream))).to.equal(miss);
  });

  /** Sends a request whose target is written as it is, and returns the head of the answer. */
  function sendRaw(target: string, body: string, headers: readonly string[] = []): Promise<string> {
    const { hostname, port } = new URL(gateway.url);
    return new Promise((resolve, reject) => {
      const socket = net.connect(Number(port), hostname);
      let got = '';
      socket.setEncoding('latin1');
      socket.on('data', (text: string) => (got += text));
      socket.on('error', reject);
      socket.on('close', () => resolve(got));
      const lines = [
        `POST ${target} HTTP/1.1`,
        'host: proxy.test',
        'content-type: application/json',
        `content-length: ${body.length}`,
        'connection: close',
        ...headers,
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
    });
  }

  it('The gateway keeps apart credentials in the target or query, and shows them nowhere', async () => {
    const model = newQuestion().model;
    const body = JSON.stringify({ model, messages: [] });
    const path = '/plain/v1/chat/completions';
    const targets = [
      'http://ann:password-of-ann@proxy.test/plain/v1/chat/completions',
      'http://bob:password-of-bob@proxy.test/plain/v1/chat/completions',
      ...['key', 'api-key', 'access_token', 'sig'].flatMap((name) => [
        `${path}?${name}=secret-of-ann`,
        `${path}?${name}=secret-of-bob`,
      ]),
    ];
    const keys = new Set<string>();
    for (const target of targets) {
      const reply = await sendRaw(target, body);
      expect(reply, target).to.contain('Cache-Status: llm-cache; fwd=miss');
      keys.add(/X-Cache-Key: (\S+)/.exec(reply)?.[1] ?? '');
      expect(await sendRaw(target, body), target).to.contain('X-Cache: HIT (exact)');
    }
    expect(keys).to.have.length(targets.length);

    const records = await gateway.recorded(model, targets.length * 2);
    expect(new Set(records.map(({ endpoint }) => endpoint))).to.deep.equal(new Set([path]));
    const shown: string[] = [...keys, JSON.stringify(records), gateway.log];
    for (const view of ['stats', 'entries?limit=500', 'usage?group_by=model', 'metrics']) {
      const { status, text } = await admin(gateway, `/${view}`);
      expect(status).to.equal(200);
      shown.push(text);
    }
    const asked = { path: `${path}?key=secret-of-ann`, headers: {}, consumer: null };
    const explained = await admin(gateway, '/explain', {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: JSON.stringify({ ...asked, apiEndpoint: 'plain', body: { model, messages: [] } }),
    });
    expect(explained.json).to.include({ outcome: 'hit' });
    shown.push(explained.text);
    for (const text of shown) expect(text).to.not.match(/(password|secret)-of/);
  });

  it('The gateway counts every line of a header that comes twice', async () => {
    const body = JSON.stringify(newQuestion());
    const send = (...keys: string[]) =>
      sendRaw(
        '/plain/v1/chat/completions',
        body,
        keys.map((key) => `authorization: Bearer ${key}`),
      );
    expect(await send('ann')).to.contain('fwd=miss');
    expect(await send('ann', 'bob')).to.contain('fwd=miss');
    expect(await send('bob', 'ann')).to.contain('fwd=miss');
    expect(await send('ann', 'bob')).to.contain('X-Cache: HIT (exact)');
  });
});
