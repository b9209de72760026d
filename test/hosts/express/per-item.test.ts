import httpProxy from 'http-proxy';
import { createLlmCache } from '../../../policies/hosts/express/index.ts';
import { type Express, expresses, type Handler, listen } from '../../support/express.ts';
import { post } from '../../support/http.ts';
import { describePerItem } from '../../support/per-item-contract.ts';
import { Upstream } from '../../support/upstream.ts';
import { recordLog } from '../../support/record-log.ts';

/** Forwards the request as it is read. */
const streaming = (url: string): Handler => {
  const server = httpProxy.createProxyServer({ target: url });
  return (req, res) => server.web(req, res);
};

/** Forwards what a body parser has made of it, and writes the head itself. */
const parsed =
  (url: string): Handler =>
  async (req, res) => {
    const { authorization } = req.headers;
    try {
      const answer = await fetch(`${url}${req.url}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
        body: JSON.stringify(req.body),
      });
      const body = Buffer.from(await answer.arrayBuffer());
      const headers = Object.entries(Object.fromEntries(answer.headers)).filter(
        ([name]) => !['content-encoding', 'content-length'].includes(name),
      );
      res.writeHead(answer.status, Object.fromEntries(headers));
      res.end(body);
    } catch {
      res.writeHead(502).end();
    }
  };

const ways: Record<string, (express: Express) => [before: Handler[], handler: typeof streaming]> = {
  'before a proxy': () => [[], streaming],
  'behind a body parser': (express) => [[express.json()], parsed],
};

for (const [version, express] of Object.entries(expresses)) {
  for (const [way, wayOf] of Object.entries(ways)) {
    describePerItem(`The cache in ${version} ${way}`, async () => {
      const upstream = await Upstream.start();
      const log = recordLog();
      const cache = createLlmCache({}, { log });
      const app = express();
      const [before, handler] = wayOf(express);
      for (const step of before) app.use(step);
      app.use(cache.llmUsage(), cache.llmCache({ perItem: true }), handler(upstream.url));
      const running = await listen(app);
      return {
        upstream,
        ask: (body, headers) => post(`${running.url}/v1/embeddings`, body, { headers }),
        records: log.recorded,
        close: async () => {
          await running.close();
          await cache.close();
          await upstream.close();
        },
      };
    });
  }
}
