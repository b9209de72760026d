import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import httpProxy from 'http-proxy';
import { createLlmCache } from '../../../policies/hosts/express/index.ts';
import { describeCompressedHits, longChat } from '../../support/compressed-hits-contract.ts';
import { eventually } from '../../support/eventually.ts';
import { type Express, expresses, type Handler, listen } from '../../support/express.ts';
import { post } from '../../support/http.ts';
import { sse, Upstream } from '../../support/upstream.ts';
import { recordLog } from '../../support/record-log.ts';

const question = { model: 'gpt-4o', stream: true };

async function start(express: Express, before: Handler[] = []) {
  const upstream = await Upstream.start();
  const log = recordLog();
  const cache = createLlmCache({}, { log });
  const server = httpProxy.createProxyServer({ target: upstream.url });
  const proxy: Handler = (req, res) => server.web(req, res);
  const app = express();
  for (const [path, more] of [
    ['/auto', {}],
    ['/off', { compressHits: 'off' }],
  ] as const) {
    const step = cache.llmCache({ debugHeaders: true, ...more });
    app.use(path, ...before, cache.llmUsage(), step, proxy);
  }
  const running = await listen(app);
  return {
    upstream,
    urls: { auto: `${running.url}/auto`, off: `${running.url}/off` },
    records: log.recorded,
    close: async () => {
      await running.close();
      await cache.close();
      await upstream.close();
    },
  };
}

for (const [version, express] of Object.entries(expresses)) {
  describeCompressedHits(`in ${version}`, () => start(express));

  describe(`Compressed hits in ${version}, behind another step`, () => {
    const gzip = { 'accept-encoding': 'gzip' };

    /** Asks often enough for what is stored to be compressed, which a request without that step shows. */
    async function hit(before: Handler, headers: Record<string, string> = {}) {
      const skipped: Handler = (req, res, next) =>
        req.headers['x-skip'] === undefined ? before(req, res, next) : next();
      const door = await start(express, [skipped]);
      try {
        door.upstream.answer(sse(longChat));
        const ask = (more: Record<string, string>) =>
          post(`${door.urls.auto}/v1/chat/completions`, question, { headers: more });
        await ask({});
        await eventually(
          async () =>
            (await ask({ ...gzip, 'x-skip': '1' })).headers['content-encoding'] === 'gzip',
          'it is sent compressed',
        );
        return await ask({ ...gzip, ...headers });
      } finally {
        await door.close();
      }
    }

    it(`A hit in ${version} is not compressed behind a step that reads what is written`, async () => {
      let read = '';
      const reply = await hit((_req, res, next) => {
        const { write } = res;
        res.write = ((chunk: Buffer, ...rest: unknown[]) => {
          read += chunk.toString();
          return Reflect.apply(write, res, [chunk, ...rest]) as boolean;
        }) as typeof res.write;
        next();
      });
      expect(reply.headers).to.include({ 'x-cache': 'HIT (exact)' });
      expect(reply.headers).to.not.have.any.keys('content-encoding');
      expect([reply.text === longChat, read.endsWith(longChat)]).to.deep.equal([true, true]);
    });

    it(`A hit in ${version} is not compressed behind a step that takes Accept-Encoding out of the request`, async () => {
      const reply = await hit((req, _res, next) => {
        delete req.headers['accept-encoding'];
        next();
      });
      expect(reply.text === longChat).to.equal(true);
    });

    it(`A client in ${version} that did not ask for gzip gets none, though a step asks the upstream for it`, async () => {
      const forced: Handler = (req, _res, next) => {
        req.headers['accept-encoding'] = 'gzip';
        next();
      };
      const reply = await hit(forced, { 'accept-encoding': 'identity' });
      expect(reply.text === longChat).to.equal(true);
    });

    it(`A hit in ${version} adds to the Vary that an earlier step has set`, async () => {
      const reply = await hit((_req, res, next) => {
        res.setHeader('Vary', 'Origin');
        next();
      });
      expect(reply.headers).to.include({
        vary: 'Origin, Accept-Encoding',
        'content-encoding': 'gzip',
      });
      expect(gunzipSync(reply.body).toString() === longChat).to.equal(true);
    });
  });
}
