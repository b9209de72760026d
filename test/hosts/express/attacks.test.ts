import { expect } from 'chai';
import {
  createLlmCache,
  type ExpressRequest,
  type LlmCache,
} from '../../../policies/hosts/express/index.ts';
import { answers, requests } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import {
  type App,
  type ErrorHandler,
  expresses,
  type Handler,
  listen,
  type Running,
} from '../../support/express.ts';
import { post } from '../../support/http.ts';
import { isRecord, recordLog } from '../../support/record-log.ts';

const chat = requests.chat.path;
const question = { model: 'gpt-4o' };

for (const [version, express] of Object.entries(expresses)) {
  describe(`Misbehaving applications in ${version}`, () => {
    const log = recordLog();
    const { lines } = log;
    let cache: LlmCache;
    let running: Running | null = null;

    beforeEach(() => {
      lines.length = 0;
      cache = createLlmCache({}, { log });
    });
    afterEach(async () => {
      await running?.close();
      await cache.close();
    });

    async function start(build: (app: App) => void): Promise<string> {
      const app = express();
      build(app);
      running = await listen(app);
      return `${running.url}${chat}`;
    }
    const records = () => lines.filter(isRecord);

    it(`The cache in ${version} serves, stores and records an answer though its consumer turns unreadable`, async () => {
      const consumer = (req: ExpressRequest) => (req.user as { id: string }).id;
      const url = await start((app) => {
        const login: Handler = (req, _res, next) => {
          req.user = { id: 'ann' };
          next();
        };
        const answer: Handler = (req, res) => {
          delete req.user;
          res.setHeader('content-type', 'application/json');
          res.end(answers.chat.json);
        };
        app.use(login, cache.llmUsage({ consumer }), cache.llmCache({ consumer }), answer);
      });
      expect((await post(url, question)).text).to.equal(answers.chat.json);
      await eventually(() => records().length === 1, 'a record');
      const hit = await post(url, question);
      expect([hit.text, hit.headers['x-cache']]).to.deep.equal([answers.chat.json, 'HIT (exact)']);
      await eventually(() => records().length === 2, 'another');
      expect(lines.length - records().length).to.equal(1);
    });

    it(`The cache in ${version} stores its own copy when a handler reuses one buffer for each event`, async () => {
      const events = answers.chat.sse.split(/(?<=\n\n)/);
      const url = await start((app) => {
        const answer: Handler = async (_req, res) => {
          const buffer = Buffer.alloc(4096);
          res.setHeader('content-type', 'text/event-stream');
          for (const event of events) {
            const size = buffer.write(event);
            await new Promise((written) => res.write(buffer.subarray(0, size), written));
          }
          res.end();
        };
        app.use(cache.llmCache(), answer);
      });
      const streamed = { ...question, stream: true };
      expect((await post(url, streamed)).text).to.equal(answers.chat.sse);
      const hit = await post(url, streamed);
      expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', answers.chat.sse]);
    });

    it(`The cache in ${version} frees and records requests whose clients left before it looked at them`, async () => {
      await cache.close();
      cache = createLlmCache({ limits: { bufferedBytes: 20_000 } }, { log });
      let open = 0;
      let waited = 0;
      const slow: Handler = (req, res, next) => {
        open++;
        const go = () => {
          waited++;
          next();
        };
        if (req.headers['x-leaves'] === undefined) go();
        else res.once('close', go);
      };
      const answer: Handler = (_req, res) => {
        res.setHeader('content-type', 'application/json');
        res.end(answers.chat.json);
      };
      const url = await start((app) => {
        app.use(express.json(), slow, cache.llmUsage(), cache.llmCache(), answer);
      });
      const large = { ...question, input: 'x'.repeat(9000) };
      for (const nth of [1, 2, 3]) {
        const leaving = new AbortController();
        const headers = { 'content-type': 'application/json', 'x-leaves': 'yes' };
        const { signal } = leaving;
        const pending = fetch(url, {
          method: 'POST',
          headers,
          body: JSON.stringify(large),
          signal,
        });
        pending.catch(() => {});
        await eventually(() => open === nth, 'it has come');
        leaving.abort();
        await eventually(() => waited === nth, 'it has gone');
      }
      const reply = await post(url, large);
      expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      await eventually(() => records().length === 4, 'four records');
      expect(records().filter((line) => line.includes('"status":499')).length).to.equal(3);
    });

    it(`The cache in ${version} keeps what an answer was before it ends twice or in an error`, async () => {
      let asked = 0;
      const url = await start((app) => {
        const answer: Handler = (_req, res, next) => {
          asked++;
          res.setHeader('content-type', 'application/json');
          res.write(answers.chat.json.slice(0, 20));
          if (asked === 1) return next(new Error('in the middle'));
          res.end(answers.chat.json.slice(20));
          res.end();
        };
        const failed: ErrorHandler = (_error, _req, res, _next) => res.end();
        app.use(cache.llmUsage(), cache.llmCache(), answer, failed);
      });
      expect((await post(url, question)).text).to.equal(answers.chat.json.slice(0, 20));
      expect((await post(url, question)).text).to.equal(answers.chat.json);
      const hit = await post(url, question);
      expect([hit.text, hit.headers['x-cache'], asked]).to.deep.equal([
        answers.chat.json,
        'HIT (exact)',
        2,
      ]);
      await eventually(() => records().length === 3, 'three records');
    });
  });
}
