import http from 'node:http';
import type net from 'node:net';
import { pipeline, Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { expect } from 'chai';
import httpProxy from 'http-proxy';
import {
  createLlmCache,
  type ExpressMiddleware,
  type LlmCache,
} from '../../../policies/hosts/express/index.ts';
import { answers, requests } from '../../support/answers.ts';
import {
  expresses,
  type Handler,
  listen,
  proxyMiddleware,
  type Running,
} from '../../support/express.ts';
import { begin, post, type Reply } from '../../support/http.ts';
import { later } from '../../support/later.ts';
import { chunk, deaths, head, RawUpstream } from '../../support/raw-upstream.ts';

const sse = 'Content-Type: text/event-stream';
const json = 'Content-Type: application/json';
const [first = ''] = answers.chat.sse.split(/(?<=\n\n)/);
const whole = (text: string) =>
  head(json, `Content-Length: ${Buffer.byteLength(text)}`, 'Connection: close') + text;

type OnError = (res: http.ServerResponse) => void;

/** What applications do when a call of http-proxy fails. */
const handlers: Record<string, OnError> = {
  'that looks before it writes': (res) => {
    if (!res.headersSent) res.writeHead(502).end('no upstream');
    else res.end();
  },
  'that writes whatever was before': (res) => {
    res.writeHead(502, { 'Content-Type': 'text/plain' });
    res.end('no upstream');
  },
  'that says so in the answer': (res) => {
    if (!res.headersSent) res.statusCode = 502;
    res.write('no upstream');
    res.end();
  },
  'that does nothing': () => {},
};

for (const [version, express] of Object.entries(expresses)) {
  describe(`A broken upstream in ${version}`, () => {
    const lines: string[] = [];
    const keep = (line: string) => void lines.push(line);
    let upstream: RawUpstream;
    let cache: LlmCache;
    let running: Running[] = [];
    let question = 0;

    before(async () => {
      upstream = await RawUpstream.start();
    });
    after(() => upstream.close());
    beforeEach(() => {
      lines.length = 0;
      const config = { usage: { sinks: [] } };
      cache = createLlmCache(config, { log: { info: keep, warn: keep, error: keep } });
    });
    afterEach(async () => {
      await Promise.all(running.map((one) => one.close()));
      running = [];
      await cache.close();
    });

    const newQuestion = (more: object = {}) => ({ model: `model ${++question}`, ...more });
    async function start(...steps: (Handler | ExpressMiddleware)[]): Promise<string> {
      const app = express();
      for (const step of steps) app.use(step);
      const one = await listen(app);
      running.push(one);
      return `${one.url}${requests.chat.path}`;
    }
    function proxy(onError: OnError = () => {}): Handler {
      const server = httpProxy.createProxyServer({ target: upstream.url });
      server.on('error', (_error, _req, res) => onError(res as http.ServerResponse));
      return (req, res) => server.web(req, res);
    }
    const ways: Record<string, () => Handler> = {
      'http-proxy-middleware': () =>
        proxyMiddleware.createProxyMiddleware({ target: upstream.url, logger: undefined }),
      ...Object.fromEntries(
        Object.entries(handlers).map(([what, onError]) => [
          `http-proxy and a handler ${what}`,
          () => proxy(onError),
        ]),
      ),
      'a proxy of few words': () => (req, res) => {
        const call = http.request(`${upstream.url}${req.url}`, { method: 'POST' }, (answer) => {
          res.writeHead(answer.statusCode ?? 0, answer.headers);
          answer.pipe(res);
        });
        call.on('error', () => res.end());
        req.pipe(call);
      },
      'a pipeline': () => (req, res) => {
        const call = http.request(`${upstream.url}${req.url}`, { method: 'POST' }, (answer) => {
          res.setHeader('content-type', answer.headers['content-type'] ?? '');
          pipeline(answer, res, () => {});
        });
        call.on('error', () => {});
        req.pipe(call);
      },
    };

    for (const [way, makeWay] of Object.entries(ways)) {
      it(`An answer that breaks off behind ${way} stays broken and unstored in ${version}`, async () => {
        for (const [name, steps] of Object.entries({
          usage: [cache.llmUsage()],
          cache: [cache.llmCache()],
          both: [cache.llmUsage(), cache.llmCache()],
        })) {
          const url = await start(...steps, makeWay());
          for (const { framing, carry, die } of Object.values(deaths)) {
            let socket: net.Socket | null = null;
            upstream.does((asked) => {
              socket = asked;
              asked.write(head(sse, framing) + carry(first));
            });
            const body = newQuestion({ stream: true });
            const readers = [await begin(url, body)];
            if (name !== 'usage') readers.push(await begin(url, body));
            die(socket ?? expect.fail('the upstream was not asked'));
            for (const { reply } of readers) {
              expect([(await reply).text, (await reply).broken]).to.deep.equal([first, true]);
            }
            upstream.does((asked) => void asked.end(whole(answers.chat.json)));
            expect((await post(url, body)).text).to.equal(answers.chat.json);
          }
        }
      });
    }

    it(`The cache in ${version} sends the app's error, a 502 or a stale entry if the upstream sent no byte`, async () => {
      const expect502 = (reply: Reply, text: string) => {
        expect([reply.status, reply.text, reply.broken]).to.deep.equal([502, text, false]);
        expect(reply.headers).to.not.have.any.keys('content-encoding', 'x-request-id');
      };
      const stale = { ttl: 1, staleIfError: 600 };
      const byWay = new Map<string, { url: string; body: object }>();
      for (const [what, onError] of Object.entries(handlers)) {
        const url = await start(cache.llmUsage(), cache.llmCache(stale), proxy(onError));
        const body = newQuestion();
        upstream.does((asked) => void asked.end(whole(answers.chat.json)));
        await post(url, body);
        byWay.set(what, { url, body });
      }
      await later(async () => {
        for (const { framing, die } of Object.values(deaths)) {
          upstream.does((socket) => {
            socket.write(head(json, framing, 'Content-Encoding: gzip', 'X-Request-Id: 1'));
            // When the proxy has had time to take the head for itself.
            setTimeout(() => die(socket), 30);
          });
          for (const [what, { url, body }] of byWay) {
            const answer = await post(url, body);
            expect([answer.status, answer.text, what]).to.deep.equal([
              200,
              answers.chat.json,
              what,
            ]);
            expect(answer.headers['x-cache']).to.equal('HIT (stale)');
            const reply = await post(url, newQuestion());
            const isSilent =
              what === 'that does nothing' || die === deaths['closes amid chunks']?.die;
            expect502(reply, isSilent ? 'Bad gateway.' : 'no upstream');
          }
        }
      });
    }).timeout(20_000);

    it(`The cache in ${version} leaves the form of the app's own errors to the app`, async () => {
      const url = await start(
        cache.llmUsage(),
        cache.llmCache(),
        proxy((res) => {
          const text = '{"error":{"message":"try again"}}';
          res.statusCode = 503;
          res.setHeader('content-type', 'application/json');
          res.setHeader('content-length', text.length);
          res.end(text);
        }),
      );
      upstream.does((socket) => {
        socket.write(head(sse, 'Transfer-Encoding: chunked'), () => {
          setTimeout(() => socket.resetAndDestroy(), 30);
        });
      });
      const reply = await post(url, newQuestion());
      expect([reply.status, reply.text]).to.deep.equal([503, '{"error":{"message":"try again"}}']);
      expect(reply.headers).to.include({
        'content-type': 'application/json',
        'content-length': '33',
      });
      expect(reply.headers).to.not.have.property('transfer-encoding');
    });

    it(`The cache in ${version} survives an upstream that sends more than it declared, and stores nothing`, async () => {
      upstream.does((socket) => void socket.end(`${whole(answers.chat.json)}excess`));
      for (const [way, makeWay] of Object.entries(ways)) {
        for (const steps of [[cache.llmUsage()], [cache.llmCache()]]) {
          const url = await start(...steps, makeWay());
          const body = newQuestion();
          for (const path of ['', '/../../../other']) {
            const calls = upstream.calls;
            const replies: (Reply | null)[] = [];
            for (const _ of [1, 2]) replies.push(await post(url + path, body).catch(() => null));
            for (const reply of replies) {
              expect(reply?.broken !== false || reply.status >= 500, way).to.equal(true);
            }
            expect(upstream.calls).to.equal(calls + 2);
          }
        }
      }
    });

    it(`The cache in ${version} breaks all joined answers at once when a piped fetch() breaks`, async () => {
      let socket: net.Socket | null = null;
      upstream.does((asked) => {
        socket = asked;
        asked.write(head(sse, 'Transfer-Encoding: chunked') + chunk(first));
      });
      const piping: Handler = async (req, res) => {
        req.resume();
        const answer = await fetch(`${upstream.url}${req.url}`, { method: 'POST', body: '{}' });
        res.setHeader('content-type', 'text/event-stream');
        pipeline(Readable.fromWeb(answer.body as ReadableStream), res, () => {});
      };
      const url = await start(cache.llmUsage(), cache.llmCache(), piping);
      const body = newQuestion({ stream: true });
      const readers = [await begin(url, body), await begin(url, body)];
      (socket as net.Socket | null)?.resetAndDestroy();
      for (const { reply } of readers) {
        expect([(await reply).text, (await reply).broken]).to.deep.equal([first, true]);
      }
    });
  });
}
