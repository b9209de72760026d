import { expect } from 'chai';
import {
  createLlmCache,
  type ConsumerNaming,
  type LlmCache,
} from '../../../policies/hosts/express/index.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { expresses, type Handler, listen, type Running } from '../../support/express.ts';
import { post } from '../../support/http.ts';
import { quietLog } from '../../support/sinks-records.ts';

const names: Readonly<Record<string, string>> = { 'id-1': 'Ada', 'id-2': 'Bob', 'id-3': 'Bob' };
const naming: ConsumerNaming = {
  nameOf: (id) => names[id],
  find: async (name) => Object.keys(names).filter((id) => names[id] === name),
};

const provider: Handler = (_req, res) => {
  res.setHeader('content-type', 'application/json');
  res.end(answers.chat.json);
};

for (const [title, consumers] of [
  ['that names its consumers', naming],
  ['that names no consumers', undefined],
] as const) {
  describe(`The admin routes of an Express app ${title}`, () => {
    let cache: LlmCache;
    let app: Running;
    before(async () => {
      cache = createLlmCache({}, { log: quietLog, ...(consumers && { consumers }) });
      const consumer = (req: { headers: Record<string, unknown> }) => req.headers['x-user'];
      const options = { consumer: consumer as never, apiEndpoint: 'api' };
      const express = expresses['Express 4']!();
      express.use(cache.adminRoutes);
      express.use(cache.llmUsage(options), cache.llmCache(options));
      express.post('/v1/chat/completions', provider);
      app = await listen(express);
      const body = { model: 'gpt-4o', messages: [] };
      const headers = { 'x-user': 'id-1' };
      await post(`${app.url}/v1/chat/completions`, body, { headers });
      await eventually(async () => (await ask('/usage')).json.total.requests === 1, 'a record');
    });
    after(async () => {
      await app?.close();
      await cache?.close();
    });

    async function ask(path: string, init: RequestInit = {}) {
      const response = await fetch(`${app.url}/llm-cache${path}`, init);
      return { status: response.status, json: await response.json() };
    }
    const explain = (consumer: string) =>
      ask('/explain', {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: JSON.stringify({
          apiEndpoint: 'api',
          path: '/v1/chat/completions',
          consumer,
          headers: { host: new URL(app.url).host },
          body: { model: 'gpt-4o', messages: [] },
        }),
      });
    const isNamed = consumers !== undefined;

    it(`The admin routes of an app ${title} show the name of a consumer, or null`, async () => {
      const name = isNamed ? 'Ada' : null;
      const { json: usage } = await ask('/usage?group_by=consumer_id');
      expect(usage.rows[0]).to.include({ consumer_id: 'id-1', consumer_name: name });
      for (const [path, list] of [
        ['/entries', 'entries'],
        ['/requests', 'requests'],
      ] as const) {
        const { json } = await ask(path);
        expect(json[list][0]).to.include({ consumer: 'id-1', consumerName: name });
      }
    });

    it(`The admin routes of an app ${title} explain requests of a consumer by id`, async () => {
      expect((await explain('id-1')).json).to.deep.include({
        outcome: 'hit',
        consumer: { id: 'id-1', name: isNamed ? 'Ada' : null },
      });
    });

    if (isNamed) {
      it('The admin routes find consumers by name, and say when none or several have it', async () => {
        expect((await explain('Ada')).json).to.include({ outcome: 'hit' });
        expect((await explain('Bob')).status).to.equal(409);
        expect((await explain('Nemo')).status).to.equal(404);
        const { json } = await ask('/entries?consumer=Ada&dry_run=1', { method: 'DELETE' });
        expect(json).to.deep.equal({ matched: 1, deleted: 0 });
      });
    } else {
      it('The admin routes accept any consumer id where the app names no consumers', async () => {
        expect((await explain('new here')).json).to.include({ outcome: 'miss' });
        const { json } = await ask('/entries?consumer=id-1&dry_run=1', { method: 'DELETE' });
        expect(json).to.deep.equal({ matched: 1, deleted: 0 });
      });
    }
  });
}

describe('The naming of consumers in an Express app', () => {
  it('The naming of consumers is refused where it is not a function', () => {
    const consumers = { nameOf: 'Ada' } as never;
    expect(() => createLlmCache({}, { consumers })).to.throw(
      '"consumers.nameOf" must be a function, got string',
    );
  });
});
