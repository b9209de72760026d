import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLlmCache, type LlmCacheConfig } from '../../../policies/hosts/express/index.ts';
import { answers, requests } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { expresses, type Handler, listen } from '../../support/express.ts';
import { post } from '../../support/http.ts';

describe('A persisted cache in an Express app', () => {
  const dir = mkdtempSync(join(tmpdir(), 'llm-cache-express-'));
  after(() => rmSync(dir, { recursive: true }));

  it('A closed cache in an Express app leaves its entries to the next one through its file', async () => {
    const express = expresses['Express 5'];
    if (express === undefined) throw new Error('no Express 5');
    const path = join(dir, 'entries.snapshot');
    const config: LlmCacheConfig = {
      scopeSecret: 'a secret of more than sixteen letters',
      stores: { memory: { type: 'memory', persist: { path } } },
    };
    const said: string[] = [];
    const say = (line: string) => void said.push(line);
    const statuses: (string | undefined)[] = [];
    for (let process = 1; process <= 2; process++) {
      const cache = createLlmCache(config, { log: { info: say, warn: say, error: say } });
      if (process === 2) await eventually(() => said.length > 0, 'the file has been read');
      const app = express();
      const answer: Handler = (_req, res) => {
        res.setHeader('content-type', 'application/json');
        res.end(answers.chat.json);
      };
      app.use(cache.llmCache(), answer);
      const running = await listen(app);
      const { path: chat, body } = requests.chat;
      const reply = await post(`${running.url}${chat}`, body, {
        headers: { host: 'app.test' },
      });
      statuses.push(String(reply.headers['cache-status']));
      await running.close();
      await cache.close();
    }
    expect(statuses[0]).to.contain('fwd=miss');
    expect(statuses[1]).to.contain('llm-cache; hit');
    expect(said).to.deep.equal([`llm-cache: store "memory" has read 1 entries from ${path}`]);
  });
});
