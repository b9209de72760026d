import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { UsageRecord } from '../../../policies/llm-usage/usage-record.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { open, post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

describe('The end of the process', () => {
  let upstream: Upstream;
  let dir: string;
  before(async () => {
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
    dir = mkdtempSync(join(tmpdir(), 'llm-cache-shutdown-'));
  });
  after(async () => {
    rmSync(dir, { recursive: true });
    await upstream.close();
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`The gateway loses no record at ${signal}, and ends as it would without the plugin`, async () => {
      const path = join(dir, `${signal}.jsonl`);
      const gateway = await Gateway.start({
        settings: { usage: { sinks: [{ type: 'jsonl', path }] } },
        gateway: gatewayConfig(upstream.url, { api: both() }),
      });
      const ask = () => post(`${gateway.url}/api/v1/chat/completions`, { model: 'gpt-4o' });
      await ask();
      await Promise.all(Array.from({ length: 49 }, ask));
      expect(await gateway.stop(signal)).to.deep.equal({ code: null, signal });
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
      const records = lines.map((line) => JSON.parse(line) as UsageRecord);
      expect(records.length).to.equal(50);
      expect(new Set(records.map((record) => record.id)).size).to.equal(50);
      expect(records.filter((record) => record.billed).length).to.equal(1);
    });
  }

  it('The gateway ends at SIGTERM though a request is under way', async () => {
    const gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { api: both() }),
    });
    upstream.answer((_request, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write('data: {}\n\n');
    });
    const { response } = await open(`${gateway.url}/api/v1/chat/completions`, { stream: true });
    response.on('error', () => {});
    expect((await gateway.stop()).signal).to.equal('SIGTERM');
    upstream.answer(json(answers.chat.json));
  });

  it('The gateway resolves relative paths of sinks from its working directory', async () => {
    const gateway = await Gateway.start({
      settings: { usage: { sinks: [{ type: 'jsonl', path: './books.jsonl' }, { type: 'log' }] } },
      gateway: gatewayConfig(upstream.url, { api: both() }),
    });
    await post(`${gateway.url}/api/v1/chat/completions`, { model: 'here' });
    await gateway.recorded('here', 1);
    const path = join(gateway.dir, 'books.jsonl');
    await eventually(() => existsSync(path) && readFileSync(path, 'utf8') !== '', 'a record');
    expect(JSON.parse(readFileSync(path, 'utf8'))).to.include({ requested_model: 'here' });
    await gateway.stop();
  });
});
