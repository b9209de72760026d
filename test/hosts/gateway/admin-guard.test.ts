import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { type Call, post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

describe('The guard of the admin port', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  before(async () => {
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { api: both() }),
      settings: { usage: { sinks: [] }, admin: { hosts: ['gateway', 'Admin.Example.com'] } },
    });
    await post(`${gateway.url}/api/v1/chat/completions`, { model: 'gpt-4o', messages: [] });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  async function ask(path: string, call: Call = {}, body: string | object = '') {
    const reply = await post(`${gateway.adminUrl}/llm-cache${path}`, body, {
      method: 'GET',
      ...call,
    });
    const isJson = reply.headers['content-type']?.startsWith('application/json');
    const parsed = (isJson && reply.text !== '' ? JSON.parse(reply.text) : {}) as {
      error?: { message: string };
    };
    return { ...reply, message: parsed.error?.message ?? '' };
  }
  const entries = async () =>
    (JSON.parse((await ask('/entries')).text) as { entries: unknown[] }).entries.length;

  it('The admin port answers to a configured name, and says of another where to configure it', async () => {
    for (const host of ['gateway:9876', 'admin.example.com', 'localhost', '127.0.0.1']) {
      expect((await ask('/metrics', { headers: { host } })).status, host).to.equal(200);
    }
    const refused = await ask('/metrics', { headers: { host: 'rebound.attacker.test' } });
    expect(refused.status).to.equal(421);
    expect(refused.message)
      .to.contain('"rebound.attacker.test"')
      .and.to.contain('admin.hosts (system.config.yml, plugins.llm-cache)');
  });

  it('The admin port lets neither a rebound name nor a foreign page read or delete anything', async () => {
    const rebound = 'rebound.attacker.test';
    const foreign = [
      { host: rebound, origin: `http://${rebound}`, 'sec-fetch-site': 'same-origin' },
      { origin: 'https://attacker.test', 'sec-fetch-site': 'cross-site' },
      { origin: 'https://attacker.test' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'null' },
    ];
    const routes: [method: string, path: string][] = [
      ['GET', ''],
      ['GET', '/dashboard.js'],
      ['GET', '/stats'],
      ['GET', '/usage?format=csv'],
      ['GET', '/budgets'],
      ['GET', '/requests'],
      ['GET', '/requests/1'],
      ['GET', '/usage'],
      ['GET', '/entries'],
      ['HEAD', '/entries'],
      ['GET', '/metrics'],
      ['GET', '/nothing'],
      ['DELETE', '/entries?all=1'],
      ['DELETE', '/entries/some%3Akey'],
      ['POST', '/explain'],
      ['OPTIONS', '/entries'],
    ];
    for (const headers of foreign) {
      for (const [method, path] of routes) {
        const reply = await ask(path, { method, headers });
        expect(reply.status, `${method} ${path}`).to.equal('host' in headers ? 421 : 403);
        expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))) //
          .to.deep.equal([]);
      }
    }
    expect(await entries()).to.equal(1);
  });

  it('The admin port deletes nothing for a GET or a POST that names another method', async () => {
    for (const method of ['GET', 'POST']) {
      const headers = { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE' };
      await ask('/entries?all=1&_method=DELETE', { method, headers });
      await ask('/entries?all=1', { method, headers });
    }
    expect(await entries()).to.equal(1);
  });

  it('The admin port refuses what a form can send, and says what to send', async () => {
    const types = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'];
    for (const type of types) {
      const reply = await ask(
        '/explain',
        { method: 'POST', headers: { 'content-type': type } },
        {},
      );
      expect([reply.status, reply.message]).to.deep.equal([
        415,
        'the body must be JSON: send it as application/json, or as text/plain if it is larger than 100 KB',
      ]);
    }
  });

  it('The admin port answers malformed escapes, in a path or a query, with 400', async () => {
    for (const path of [
      '/entries/%E0%A4%A',
      '/entries/100%',
      '/entries/%zz',
      '/entries?model=%F0',
      '/entries?model=%',
      '/metrics?%',
      '/nothing/%ff',
    ]) {
      const reply = await ask(path);
      expect([path, reply.status]).to.deep.equal([path, 400]);
      expect(reply.message).to.contain('escape');
    }
    expect((await ask('/entries?model=%00%25')).status).to.equal(200);
    expect(gateway.log).to.not.contain('the admin API failed');
  });

  it('The admin port answers every error as JSON, with headers that keep a browser from misusing it', async () => {
    const calls: [path: string, call: Call, body?: string][] = [
      ['/nothing', {}],
      ['/stats', { method: 'POST' }],
      ['/stats', { method: 'OPTIONS' }],
      ['/explain', { method: 'POST' }, '{'],
      ['/explain', { method: 'POST' }, 'x'.repeat(150_000)],
      ['/explain', { method: 'POST', headers: { 'content-encoding': 'nonsense' } }, '{}'],
      ['/explain', { method: 'POST', headers: { 'content-type': 'text/plain' } }, '['],
      ['/entries?x=1', {}],
      ['/entries?limit=1&limit=2', {}],
      [`/entries?cursor=${'A'.repeat(9000)}`, {}],
      ['/entries/none', {}],
      ['/stats', { headers: { host: 'x' } }],
    ];
    for (const [path, call, body] of calls) {
      const reply = await ask(path, call, body);
      expect(reply.status, path).to.be.within(400, 499);
      expect(reply.message, path).to.not.equal('');
      expect(reply.headers).to.include({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
      });
    }
  });

  it('The admin port serves a page without inline scripts that no other page can frame', async () => {
    const { headers } = await ask('');
    const policy = String(headers['content-security-policy']);
    expect(policy).to.contain("default-src 'none'").and.to.contain("frame-ancestors 'none'");
    expect(policy).to.not.contain('unsafe');
    expect(headers).to.include({
      'cache-control': 'no-store',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
  });
});
