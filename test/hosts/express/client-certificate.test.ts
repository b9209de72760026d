import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLlmCache } from '../../../policies/hosts/express/index.ts';
import { answers, requests } from '../../support/answers.ts';
import { expresses, type Handler } from '../../support/express.ts';
import { read } from '../../support/http.ts';

interface Certified {
  readonly key: Buffer;
  readonly cert: Buffer;
}

describe('Clients known by their certificates alone', () => {
  let dir: string;
  let server: https.Server;
  const cache = createLlmCache({ usage: { sinks: [] } });

  function certify(name: string): Certified {
    const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-subj', `/CN=${name}`, '-keyout', key, '-out', cert];
    const { status, stderr } = spawnSync('openssl', ['req', '-x509', ...kind, ...files]);
    if (status !== 0) throw new Error(String(stderr));
    return { key: readFileSync(key), cert: readFileSync(cert) };
  }

  before(async function () {
    if (spawnSync('openssl', ['version']).status !== 0) return this.skip();
    dir = mkdtempSync(join(tmpdir(), 'llm-cache-certificates-'));
    const app = expresses['Express 5']?.();
    if (app === undefined) throw new Error('there is no Express 5');
    const answer: Handler = (_req, res) => {
      res.setHeader('content-type', 'application/json');
      res.end(answers.chat.json);
    };
    app.use(cache.llmCache(), answer);
    const options = { ...certify('server'), requestCert: true, rejectUnauthorized: false };
    server = https.createServer(
      options,
      app as unknown as Parameters<typeof https.createServer>[1],
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server?.close();
    if (dir !== undefined) rmSync(dir, { recursive: true });
    await cache.close();
  });

  async function ask(client: Certified | null, headers: Record<string, string> = {}) {
    const { port } = server.address() as AddressInfo;
    const host = { host: 'app.test', 'content-type': 'application/json', ...headers };
    const target = { port, path: requests.chat.path, method: 'POST', headers: host, agent: false };
    const request = https.request({ ...target, ...client, rejectUnauthorized: false } as const);
    const response = new Promise<Parameters<typeof read>[0]>((resolve, reject) => {
      request.on('response', resolve);
      request.on('error', reject);
    });
    request.end(JSON.stringify(requests.chat.body));
    return (await read(await response)).headers['x-cache'] ?? 'fresh';
  }

  it('Clients with different certificates, without one, or claiming one share no answer', async () => {
    const [ann, bob] = [certify('ann'), certify('bob')];
    expect(await ask(ann)).to.equal('fresh');
    expect(await ask(bob)).to.equal('fresh');
    expect(await ask(null)).to.equal('fresh');
    expect(await ask(null, { 'client-cert': 'ann' })).to.equal('fresh');
    expect(await ask(ann)).to.equal('HIT (exact)');
    expect(await ask(bob)).to.equal('HIT (exact)');
  });
});
