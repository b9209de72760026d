import { once } from 'node:events';
import http from 'node:http';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import httpProxy from 'http-proxy';
import OpenAI from 'openai';
import {
  ConfigurationError,
  createLlmCache,
  type ExpressMiddleware,
  llmCache,
  type LlmCache,
  type LlmCacheOptions,
  llmUsage,
} from '../../../policies/hosts/express/index.ts';
import { answers, requests } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { later } from '../../support/later.ts';
import {
  type App,
  expresses,
  type Handler,
  listen,
  proxyMiddleware,
  type Running,
} from '../../support/express.ts';
import { open, post, read } from '../../support/http.ts';
import { isRecord, recordLog } from '../../support/record-log.ts';
import { dies, Gate, gated, json, sse, Upstream } from '../../support/upstream.ts';

const chat = requests.chat.path;
const events = answers.chat.sse.split(/(?<=\n\n)/);

/** Counts the requests that have come to an app, and those that are over. */
class Visits {
  begun = 0;
  over = 0;
  readonly handler: Handler = (_req, res, next) => {
    this.begun++;
    res.once('close', () => this.over++);
    next();
  };
}

/** How many requests wait for the call of another, or read along. */
async function joiners(adminUrl: string): Promise<number> {
  const reply = await fetch(`${adminUrl}/llm-cache/stats`);
  return ((await reply.json()) as { joiners: number }).joiners;
}

for (const [version, express] of Object.entries(expresses)) {
  describe(`The middleware in ${version}`, () => {
    const log = recordLog();
    let upstream: Upstream;
    let cache: LlmCache;
    let running: Running[] = [];
    let question = 0;

    before(async () => {
      upstream = await Upstream.start();
      cache = createLlmCache({}, { log });
    });
    afterEach(async () => {
      await Promise.all(running.map((one) => one.close()));
      running = [];
    });
    after(async () => {
      await cache.close();
      await upstream.close();
      expect(log.lines.filter((line) => !isRecord(line))).to.deep.equal([]);
    });

    const ask = (more: object = {}) => ({
      model: `model ${++question}`,
      messages: [{ role: 'user', content: 'Grüße 🎈' }],
      ...more,
    });

    async function start(...steps: (Handler | ExpressMiddleware)[]): Promise<string> {
      const app = express();
      for (const step of steps) app.use(step);
      return startApp(app);
    }
    async function startApp(app: App): Promise<string> {
      const one = await listen(app);
      running.push(one);
      return one.url;
    }

    function proxy(): Handler {
      const server = httpProxy.createProxyServer({ target: upstream.url });
      server.on('error', (_error, _req, res) => {
        if (!(res instanceof http.ServerResponse)) return;
        if (!res.headersSent) res.writeHead(502).end('no upstream');
        else res.end();
      });
      return (req, res) => server.web(req, res);
    }

    const ways: Record<string, () => Handler> = {
      'http-proxy': proxy,
      'http-proxy with a buffer': () => {
        const server = httpProxy.createProxyServer({ target: upstream.url });
        server.on('error', () => {});
        return (req, res) => server.web(req, res, { buffer: req });
      },
      'http-proxy-middleware': () =>
        proxyMiddleware.createProxyMiddleware({ target: upstream.url }),
      'http-proxy-middleware with fixRequestBody': () =>
        proxyMiddleware.createProxyMiddleware({
          target: upstream.url,
          on: { proxyReq: proxyMiddleware.fixRequestBody },
        }),
      'a streaming handler': () => async (req, res) => {
        const chunks: Buffer[] = [];
        for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
        const answer = await fetch(`${upstream.url}${req.url}`, {
          method: 'POST',
          body: Buffer.concat(chunks),
        });
        res.setHeader('content-type', answer.headers.get('content-type') ?? '');
        for await (const chunk of answer.body ?? []) res.write(chunk);
        res.end();
      },
    };

    for (const [way, makeWay] of Object.entries(ways)) {
      describe(way, () => {
        for (const coding of ['identity', 'chunked'] as const) {
          it(`The cache before ${way} in ${version} replays the first answer to a second request (${coding})`, async () => {
            const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
            for (const [answer, text, more] of [
              [json(answers.chat.json), answers.chat.json, {}],
              [sse(answers.chat.sse), answers.chat.sse, { stream: true }],
            ] as const) {
              upstream.answer(answer);
              const body = ask(more);
              const before = upstream.requests.length;
              const miss = await post(url, body, { coding });
              expect([miss.status, miss.text]).to.deep.equal([200, text]);
              expect(miss.headers['cache-status']).to.equal('llm-cache; fwd=miss');
              expect(upstream.last.body.toString()).to.equal(JSON.stringify(body));
              const hit = await post(url, body, { coding });
              expect([hit.status, hit.text]).to.deep.equal([200, text]);
              expect(hit.headers['x-cache']).to.equal('HIT (exact)');
              expect(hit.headers['content-type']).to.equal(miss.headers['content-type']);
              expect(upstream.requests.length).to.equal(before + 1);
            }
          });
        }

        it(`The cache before ${way} in ${version} lets a larger request stream through untouched`, async () => {
          upstream.answer(json(answers.chat.json));
          const options = { maxRequestBytes: 100_000 };
          const url = `${await start(cache.llmCache(options), makeWay())}${chat}`;
          const text = JSON.stringify(ask({ padding: 'ü'.repeat(1_000_000) }));
          for (const coding of ['identity', 'chunked'] as const) {
            const reply = await post(url, text, { coding });
            expect([reply.status, reply.text]).to.deep.equal([200, answers.chat.json]);
            expect(reply.headers['cache-status']).to.contain(
              'fwd=bypass; detail=request-too-large',
            );
            expect(upstream.last.body.equals(Buffer.from(text))).to.equal(true);
          }
        });

        it(`The cache before ${way} in ${version} forwards a large request that it held`, async () => {
          upstream.answer(json(answers.chat.json));
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          const text = JSON.stringify(ask({ padding: 'ü'.repeat(2_000_000) }));
          for (const coding of ['identity', 'chunked'] as const) {
            await post(url, text, { coding });
            expect(upstream.last.body.equals(Buffer.from(text))).to.equal(true);
          }
          expect((await post(url, text)).headers['x-cache']).to.equal('HIT (exact)');
        });

        it(`The cache before ${way} in ${version} forwards a gzipped request as it came, keyed by its content`, async () => {
          upstream.answer(json(answers.chat.json));
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          const asked = ask({ padding: 'ü'.repeat(1000) });
          const packed = gzipSync(JSON.stringify(asked));
          const headers = { 'content-encoding': 'gzip' };
          for (const coding of ['chunked', 'identity'] as const) {
            const reply = await post(url, packed, { coding, headers });
            expect(reply.headers['x-cache']).to.equal(
              coding === 'chunked' ? undefined : 'HIT (exact)',
            );
          }
          expect(upstream.last.body.equals(packed)).to.equal(true);
          expect((await post(url, asked)).headers['x-cache']).to.equal('HIT (exact)');
          const other = await post(url, JSON.stringify(ask()), { headers });
          expect(other.headers['cache-status']).to.contain('detail=encoding');
        });

        it(`The cache before ${way} in ${version} forwards a request that comes a byte at a time`, async () => {
          upstream.answer(json(answers.chat.json));
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          const bytes = Buffer.from(JSON.stringify(ask({ padding: 'ü'.repeat(5000) })));
          const request = http.request(url, { method: 'POST', agent: false });
          request.setHeader('content-type', 'application/json');
          const answered = once(request, 'response') as Promise<[http.IncomingMessage]>;
          for (const byte of bytes) request.write(Buffer.of(byte));
          request.end();
          const [response] = await answered;
          response.resume();
          expect(response.headers['cache-status']).to.equal('llm-cache; fwd=miss');
          expect(upstream.last.body.equals(bytes)).to.equal(true);
        });

        it(`The cache before ${way} in ${version} forwards what is not JSON, and what is empty`, async () => {
          upstream.answer(json('{}'));
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          for (const [text, coding] of [
            ['not JSON', 'identity'],
            ['not JSON', 'chunked'],
            ['', 'identity'],
            ['', 'chunked'],
          ] as const) {
            const reply = await post(url, text, { coding });
            expect(reply.headers['cache-status']).to.contain('detail=not-json');
            expect(upstream.last.body.toString()).to.equal(text);
          }
        });
      });
    }

    it(`The middleware in ${version} leaves requests that it does not serve untouched and unrecorded`, async () => {
      upstream.answer(json(answers.chat.json));
      const url = await start(cache.llmUsage(), cache.llmCache(), proxy());
      const before = log.records().length;
      for (const [method, path] of [
        ['GET', chat],
        ['POST', '/v1/models'],
      ] as const) {
        const reply = await post(`${url}${path}`, 'any text', { method });
        expect(reply.headers).to.not.have.property('cache-status');
        expect(upstream.last.body.toString()).to.equal('any text');
      }
      expect(log.records().length).to.equal(before);
    });

    it(`The middleware in ${version} answers on a connection that is kept alive, hit or miss`, async () => {
      const handler: Handler = (_req, res) => {
        res.setHeader('content-type', 'application/json');
        res.end(answers.chat.json);
      };
      const url = `${await start(cache.llmUsage(), cache.llmCache(), handler)}${chat}`;
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const body = JSON.stringify(ask());
      const ports = new Set<number | undefined>();
      for (let times = 0; times < 5; times++) {
        const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
          const request = http.request(url, { method: 'POST', agent }, resolve);
          request.on('error', reject);
          request.end(body);
        });
        ports.add(response.socket.localPort);
        expect((await read(response)).text).to.equal(answers.chat.json);
      }
      agent.destroy();
      expect(ports.size).to.equal(1);
    });

    describe('Body parsers', () => {
      const echo: Handler = (req, res) => {
        res.setHeader('content-type', 'application/json');
        const { body } = req;
        const text =
          typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
        res.setHeader('x-saw', encodeURIComponent(String(text)));
        res.end(answers.chat.json);
      };
      const saw = (headers: http.IncomingHttpHeaders) =>
        decodeURIComponent(String(headers['x-saw']));

      for (const [order, stepsOf] of Object.entries({
        'express.json() behind': () => [
          cache.llmUsage(),
          cache.llmCache(),
          express.json({ limit: '10mb' }),
        ],
        'express.json() before': () => [express.json(), cache.llmUsage(), cache.llmCache()],
        'express.json() between': () => [cache.llmUsage(), express.json(), cache.llmCache()],
        'express.text() before': () => [
          express.text({ type: () => true }),
          cache.llmUsage(),
          cache.llmCache(),
        ],
        'express.raw() before': () => [
          express.raw({ type: () => true }),
          cache.llmUsage(),
          cache.llmCache(),
        ],
      })) {
        it(`The cache in ${version} (${order}) gives the handler its body, and the second request a hit`, async () => {
          const url = `${await start(...stepsOf(), echo)}${chat}`;
          const body = ask();
          const miss = await post(url, body);
          expect(saw(miss.headers)).to.equal(JSON.stringify(body));
          expect(miss.headers['cache-status']).to.equal('llm-cache; fwd=miss');
          const hit = await post(url, body);
          expect(hit.headers['x-cache']).to.equal('HIT (exact)');
          expect(hit.headers).to.not.have.property('x-saw');
          const other = await post(url, ask());
          expect(other.headers['cache-status']).to.equal('llm-cache; fwd=miss');
          const own = () => log.records().filter((one) => one.requested_model === body.model);
          await eventually(() => own().length === 2, 'two records');
          expect(own().map((one) => one.billed)).to.deep.equal([true, false]);
        });
      }

      it(`The cache in ${version} takes a body that a parser has unzipped as not encoded`, async () => {
        upstream.answer(json(answers.chat.json));
        const way = proxyMiddleware.createProxyMiddleware({
          target: upstream.url,
          on: { proxyReq: proxyMiddleware.fixRequestBody },
        });
        const url = `${await start(express.json(), cache.llmCache(), way)}${chat}`;
        const packed = gzipSync(JSON.stringify(ask()));
        const reply = await post(url, packed, { headers: { 'content-encoding': 'gzip' } });
        expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      });

      it(`The cache in ${version} behind a body parser works with fixRequestBody of http-proxy-middleware`, async () => {
        upstream.answer(json(answers.chat.json));
        const way = ways['http-proxy-middleware with fixRequestBody']?.() ?? echo;
        const url = `${await start(express.json(), cache.llmCache(), way)}${chat}`;
        const body = ask();
        expect((await post(url, body)).text).to.equal(answers.chat.json);
        expect(upstream.last.body.toString()).to.equal(JSON.stringify(body));
        expect((await post(url, body)).headers['x-cache']).to.equal('HIT (exact)');
      });

      it(`The cache in ${version} keys a body that was rewritten before it`, async () => {
        const rewrite: Handler = (req, _res, next) => {
          Object.assign(req.body as object, { model: 'the same' });
          next();
        };
        const namespace = `rewritten in ${version}`;
        const steps = [cache.llmUsage(), express.json(), rewrite, cache.llmCache({ namespace })];
        const url = `${await start(...steps, echo)}${chat}`;
        await post(url, ask());
        expect((await post(url, ask())).headers['x-cache']).to.equal('HIT (exact)');
      });

      it(`The cache in ${version} does not take a form for the JSON of its fields`, async () => {
        const url = `${await start(express.urlencoded({ extended: true }), cache.llmCache(), echo)}${chat}`;
        const reply = await post(url, 'model=gpt-4o', {
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        });
        expect(reply.headers['cache-status']).to.contain('detail=not-json');
      });

      it(`The cache in ${version} leaves a body as text where a handler has set an encoding`, async () => {
        const asText: Handler = (req, _res, next) => {
          req.setEncoding('utf8');
          next();
        };
        const reader: Handler = async (req, res) => {
          let text = '';
          for await (const chunk of req as AsyncIterable<string>) text += chunk;
          req.body = text;
          echo(req, res, () => {});
        };
        const url = `${await start(asText, cache.llmCache(), reader)}${chat}`;
        const body = ask();
        expect(saw((await post(url, body)).headers)).to.equal(JSON.stringify(body));
        expect((await post(url, body)).headers['x-cache']).to.equal('HIT (exact)');
      });
    });

    describe('A handler that calls the OpenAI client', () => {
      const call: Handler = async (req, res) => {
        const openai = new OpenAI({ apiKey: 'k', baseURL: `${upstream.url}/v1`, maxRetries: 0 });
        const body = req.body as OpenAI.ChatCompletionCreateParamsStreaming;
        const left = new AbortController();
        res.on('close', () => left.abort());
        const stream = await openai.chat.completions.create(body, { signal: left.signal });
        res.setHeader('content-type', 'text/event-stream');
        for await (const chunk of stream) res.write(`data: ${JSON.stringify(chunk)}\n\n`);
        if (!left.signal.aborted) res.write('data: [DONE]\n\n');
        res.end();
      };

      it(`The cache in ${version} stores what a handler streams from the OpenAI client`, async () => {
        upstream.answer(sse(answers.chat.sse));
        const url = `${await start(cache.llmUsage(), cache.llmCache(), express.json(), call)}${chat}`;
        const body = ask({ stream: true });
        const miss = await post(url, body);
        expect(miss.text).to.equal(answers.chat.sse);
        const hit = await post(url, body);
        expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', miss.text]);
        const own = () => log.records().filter((one) => one.requested_model === body.model);
        await eventually(() => own().length === 2, 'two records');
        for (const record of own()) expect(record).to.include({ input_tokens: 11, stream: true });
      });

      it(`The cache in ${version} ends joined answers when the handler stops because its client left`, async () => {
        const gate = new Gate();
        upstream.answer(gated(events, gate));
        const url = `${await start(cache.llmCache(), express.json(), call)}${chat}`;
        const body = ask({ stream: true });
        const leader = await open(url, body);
        const late = read((await open(url, body)).response);
        leader.request.destroy();
        await eventually(() => upstream.last.aborted, 'the call ends');
        expect((await late).text).to.equal(events[0]);
        gate.pass();
      });
    });

    describe('Identical requests at the same time', () => {
      it(`The cache in ${version} makes one call for identical requests, and a late one reads along live`, async () => {
        for (const makeWay of [proxy, ways['http-proxy-middleware'] ?? proxy]) {
          const gate = new Gate();
          upstream.answer(gated(events, gate));
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          const body = ask({ stream: true });
          const before = upstream.requests.length;
          const leader = await open(url, body);
          gate.pass();
          const late = await open(url, body);
          expect(late.response.headers['x-cache']).to.equal('HIT (coalesced)');
          let seen = '';
          late.response.on('data', (bytes: Buffer) => (seen += bytes.toString()));
          for (let count = 2; count <= events.length; count++) {
            await eventually(() => seen === events.slice(0, count).join(''), `event ${count}`);
            gate.pass();
          }
          expect((await read(leader.response)).text).to.equal(answers.chat.sse);
          expect(upstream.requests.length).to.equal(before + 1);
        }
      });

      it(`The cache in ${version} goes on for joined clients when the first client leaves`, async () => {
        const gate = new Gate();
        upstream.answer(gated(events, gate));
        const visits = new Visits();
        const url = `${await start(visits.handler, cache.llmCache(), proxy())}${chat}`;
        const body = ask({ stream: true });
        const leader = await open(url, body);
        const late = read((await open(url, body)).response);
        leader.request.destroy();
        await eventually(() => visits.over === 1, 'the first client has left');
        expect(upstream.last.aborted).to.equal(false);
        for (const _event of events) gate.pass();
        expect((await late).text).to.equal(answers.chat.sse);
        expect((await post(url, body)).headers['x-cache']).to.equal('HIT (exact)');
      });
    });

    describe('A dying client or upstream', () => {
      it(`The cache in ${version} lets waiting requests call when the first client left before its call`, async () => {
        upstream.answer(json(answers.chat.json));
        const gate = new Gate();
        let passing = 0;
        const slow: Handler = async (_req, _res, next) => {
          if (passing++ === 0) await gate.wait();
          next();
        };
        const url = `${await start(cache.llmUsage(), cache.llmCache(), slow, proxy())}${chat}`;
        const body = JSON.stringify(ask());
        const headers = { 'content-type': 'application/json' };
        const leader = http.request(url, { method: 'POST', agent: false, headers });
        leader.on('error', () => {});
        leader.end(body);
        await eventually(() => passing === 1, 'the first request is on its way');
        const other = post(url, body);
        const admin = await start(cache.adminRoutes);
        await eventually(async () => (await joiners(admin)) === 1, 'the second request waits');
        leader.destroy();
        expect((await other).text).to.equal(answers.chat.json);
        gate.pass();
        expect((await post(url, body)).headers['x-cache']).to.equal('HIT (exact)');
      }).timeout(5000);

      for (const way of ['http-proxy', 'http-proxy-middleware']) {
        const makeWay = () => ways[way]?.() ?? proxy();

        it(`The cache in ${version} ends the call of ${way} when the client leaves, before or after its first byte`, async () => {
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          const gate = new Gate();
          upstream.answer(gated(events, gate));
          const body = ask({ stream: true });
          const client = await open(url, body);
          client.request.destroy();
          await eventually(() => upstream.last.aborted, 'the call ends');

          let asked = upstream.requests.length;
          upstream.answer(() => {});
          const request = http.request(url, { method: 'POST', agent: false });
          request.on('error', () => {});
          request.end(JSON.stringify(body));
          await upstream.asked(++asked);
          request.destroy();
          await eventually(() => upstream.last.aborted, 'the call ends');

          upstream.answer(json(answers.chat.json));
          expect((await post(url, body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
        });

        it(`The cache in ${version} breaks the client's answer when the upstream behind ${way} breaks off`, async () => {
          const url = `${await start(cache.llmUsage(), cache.llmCache(), makeWay())}${chat}`;
          upstream.answer(dies('{"id":'));
          const body = ask();
          const reply = await post(url, body);
          expect([reply.broken, reply.text]).to.deep.equal([true, '{"id":']);
          upstream.answer(json(answers.chat.json));
          expect((await post(url, body)).headers['cache-status']).to.equal('llm-cache; fwd=miss');
        });

        it(`The cache in ${version} answers with an expired entry when ${way} finds no upstream`, async () => {
          const options = { ttl: 1, staleIfError: 600 };
          const url = `${await start(cache.llmCache(options), makeWay())}${chat}`;
          upstream.answer(json(answers.chat.json));
          const body = ask();
          await post(url, body);
          await later(async () => {
            upstream.answer((_request, res) => void res.destroy());
            const stale = await post(url, body);
            expect([stale.status, stale.text]).to.deep.equal([200, answers.chat.json]);
            expect(stale.headers['x-cache']).to.equal('HIT (stale)');
          });
        });
      }

      it(`The cache in ${version} makes no call for a client that leaves in the middle of its request`, async () => {
        upstream.answer(json(answers.chat.json));
        const visits = new Visits();
        const policies = [visits.handler, cache.llmUsage(), cache.llmCache()];
        const url = `${await start(...policies, proxy())}${chat}`;
        const before = upstream.requests.length;
        const request = http.request(url, {
          method: 'POST',
          agent: false,
          headers: { 'content-length': 1000 },
        });
        request.on('error', () => {});
        request.write('{"model":');
        await eventually(() => visits.begun === 1, 'the request has come');
        request.destroy();
        await eventually(() => visits.over === 1, 'the client has left');
        await post(url, ask());
        expect(upstream.requests.length).to.equal(before + 1);
      });
    });

    describe('The owner of an answer', () => {
      const login =
        (user: unknown): Handler =>
        (req, _res, next) => {
          req.user = user;
          next();
        };
      // Two servers here, one host name as a client has it.
      const headers = { host: 'app.test' };

      async function shared(
        one: unknown,
        other: unknown,
        options: LlmCacheOptions = {},
      ): Promise<boolean> {
        upstream.answer(json(answers.chat.json));
        const body = ask();
        const [here, there] = [
          await start(login(one), cache.llmCache(options), proxy()),
          await start(login(other), cache.llmCache(options), proxy()),
        ];
        await post(`${here}${chat}`, body, { headers });
        const found = await post(`${there}${chat}`, body, { headers });
        return found.headers['x-cache'] === 'HIT (exact)';
      }

      it(`The cache in ${version} tells owners by req.user: an id, or an object that has one`, async () => {
        expect(await shared({ id: 1, seen: 1 }, { id: 1, seen: 2 })).to.equal(true);
        expect(await shared({ id: 1 }, { id: 2 })).to.equal(false);
        expect(await shared('ann', 'ann')).to.equal(true);
        expect(await shared('ann', 'bob')).to.equal(false);
        expect(await shared({ id: 1 }, undefined)).to.equal(false);
        expect(await shared(undefined, undefined)).to.equal(true);
      });

      it(`The cache in ${version} tells owners without an id by all of req.user, and shares nothing if it is empty`, async () => {
        expect(await shared({ _id: 'a' }, { _id: 'a' })).to.equal(true);
        expect(await shared({ _id: 'a' }, { _id: 'b' })).to.equal(false);
        expect(await shared(Promise.resolve('ann'), Promise.resolve('ann'))).to.equal(false);
        expect(await shared(true, true)).to.equal(false);
        expect(await shared({}, {})).to.equal(false);
      });

      it(`The cache in ${version} tells owners by ids of any type, beside equal weaker claims, and by tenant`, async () => {
        const same = { client_id: 'web', username: 'admin' };
        expect(await shared({ ...same, id: 1n }, { ...same, id: 1n })).to.equal(true);
        expect(await shared({ ...same, id: 1n }, { ...same, id: 2n })).to.equal(false);
        expect(await shared({ ...same, id: 1 }, { ...same, id: '1' })).to.equal(false);
        expect(await shared({ id: 1, tenantId: 'a' }, { id: 1, tenantId: 'b' })).to.equal(false);
        expect(await shared({ sub: 'u', tid: 'a' }, { sub: 'u', tid: 'b' })).to.equal(false);
      });

      it(`The cache in ${version} stands aside for an ambiguous user, whatever credential came along`, async () => {
        upstream.answer(json(answers.chat.json));
        for (const id of [Number.NaN, 2 ** 53, '', Symbol('a'), {}]) {
          const user = { id, client_id: 'web' };
          const url = await start(login(user), cache.llmUsage(), cache.llmCache(), proxy());
          const body = ask();
          const credential = { authorization: 'Bearer shared' };
          const reply = await post(`${url}${chat}`, body, { headers: credential });
          expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=no-scope');
          const own = () => log.records().filter((one) => one.requested_model === body.model);
          await eventually(() => own().length === 1, 'a record');
          expect(own()[0]?.consumer_id).to.equal(null);
        }
      });

      it(`The cache in ${version} tells owners by an identity header that a middleware set`, async () => {
        upstream.answer(json(answers.chat.json));
        const tell: Handler = (req, _res, next) => {
          req.headers['x-user-id'] = `user of ${String(req.headers['x-ticket'])}`;
          delete req.headers['x-ticket'];
          next();
        };
        const url = await start(tell, cache.llmCache(), proxy());
        const body = ask();
        const found = [];
        for (const ticket of ['1', '2', '1']) {
          const reply = await post(`${url}${chat}`, body, { headers: { 'x-ticket': ticket } });
          found.push(reply.headers['x-cache']);
        }
        expect(found).to.deep.equal([undefined, undefined, 'HIT (exact)']);
      });

      it(`The explain route in ${version} knows a user object as the middleware does`, async () => {
        upstream.answer(json(answers.chat.json));
        const user = { email: 'ann@a.test', plan: { seats: 5 } };
        const url = await start(login(user), cache.llmCache({ debugHeaders: true }), proxy());
        const body = ask();
        const reply = await post(`${url}${chat}`, body, { headers });
        const adminUrl = await start(cache.adminRoutes);
        const asked = { apiEndpoint: 'default', path: chat, headers, body };
        const explained = await post(`${adminUrl}/llm-cache/explain`, { ...asked, consumer: user });
        expect(JSON.parse(explained.text)).to.include({
          outcome: 'hit',
          key: reply.headers['x-cache-key'],
        });
        const other = { ...asked, consumer: { ...user, plan: { seats: 6 } } };
        const missed = await post(`${adminUrl}/llm-cache/explain`, other);
        expect(JSON.parse(missed.text)).to.include({ outcome: 'miss' });
      });

      it(`The cache in ${version} tells owners by the consumer option`, async () => {
        const consumer = (req: { user?: unknown }) => (req.user as { tenant: string }).tenant;
        const pair = [
          { id: 1, tenant: 'acme' },
          { id: 2, tenant: 'acme' },
        ] as const;
        expect(await shared(...pair)).to.equal(false);
        expect(await shared(...pair, { consumer })).to.equal(true);
        expect(await shared({ tenant: 'a' }, { tenant: 'b' }, { consumer })).to.equal(false);
      });

      it(`The records in ${version} name the consumer by llm-usage's own option, not llm-cache's`, async () => {
        upstream.answer(json(answers.chat.json));
        const url = await start(
          login('ann'),
          cache.llmUsage({ apiEndpoint: 'mine', consumer: () => 'books', provider: 'p' }),
          cache.llmCache({ consumer: () => undefined, scope: 'consumer' }),
          proxy(),
        );
        const body = ask();
        const reply = await post(`${url}${chat}`, body);
        expect(reply.headers['cache-status']).to.contain('detail=no-scope');
        const own = () => log.records().filter((one) => one.requested_model === body.model);
        await eventually(() => own().length === 1, 'a record');
        expect(own()[0]).to.include({
          consumer_id: 'books',
          api_endpoint: 'mine',
          provider: 'p',
          endpoint: chat,
          request_id: null,
        });
      });
    });

    it(`The cache in ${version} goes by the path that the client sent, wherever it is mounted`, async () => {
      upstream.answer(json(answers.chat.json));
      const app = express();
      app.use('/openai', cache.llmUsage(), cache.llmCache({ debugHeaders: true }), proxy());
      app.use(cache.llmCache({ debugHeaders: true }), proxy());
      const url = await startApp(app);
      const body = ask();
      const miss = await post(`${url}/openai${chat}?a=1`, body);
      expect(miss.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      expect(upstream.last.path).to.equal(`${chat}?a=1`);
      expect((await post(`${url}/openai${chat}?a=1`, body)).headers['x-cache']).to.equal(
        'HIT (exact)',
      );
      expect((await post(`${url}${chat}?a=1`, body)).headers['cache-status']).to.equal(
        'llm-cache; fwd=miss',
      );
      const own = () => log.records().filter((one) => one.requested_model === body.model);
      await eventually(() => own().length === 2, 'two records');
      expect(own()[0]?.endpoint).to.equal(`/openai${chat}`);

      const { host } = new URL(url);
      const explained = await explain(cache, `/openai${chat}?a=1`, body, { host });
      expect(explained).to.include({ outcome: 'hit', key: miss.headers['x-cache-key'] });
    });

    async function explain(
      instance: LlmCache,
      path: string,
      body: object,
      { host, apiEndpoint = 'default' }: { host: string; apiEndpoint?: string },
    ) {
      const url = await start(instance.adminRoutes);
      const reply = await post(`${url}/llm-cache/explain`, {
        apiEndpoint,
        path,
        headers: { host },
        consumer: null,
        body,
      });
      expect(reply.status, reply.text).to.equal(200);
      return JSON.parse(reply.text) as object;
    }

    it(`The cache in ${version} keeps host names apart, unless it ignores the host`, async () => {
      upstream.answer(json(answers.chat.json));
      const statuses = async (options: LlmCacheOptions) => {
        const url = await start(cache.llmCache(options), proxy());
        const body = ask();
        const found = [];
        for (const host of ['a.test', 'b.test', 'a.test']) {
          const reply = await post(`${url}${chat}`, body, { headers: { host } });
          found.push(reply.headers['x-cache'] ?? reply.headers['cache-status']);
        }
        return found;
      };
      expect(await statuses({})).to.deep.equal([
        'llm-cache; fwd=miss',
        'llm-cache; fwd=miss',
        'HIT (exact)',
      ]);
      expect(await statuses({ varyHeaders: ['openai-organization'] })).to.deep.equal(
        await statuses({}),
      );
      expect(await statuses({ ignoreHeaders: ['host'] })).to.deep.equal([
        'llm-cache; fwd=miss',
        'HIT (exact)',
        'HIT (exact)',
      ]);
    });

    it(`Two caches in ${version} share no entries, records or stats`, async () => {
      upstream.answer(json(answers.chat.json));
      const others = recordLog();
      const other = createLlmCache({}, { log: others });
      const [one, two] = [
        await start(cache.llmUsage(), cache.llmCache(), proxy()),
        await start(other.llmUsage(), other.llmCache({ apiEndpoint: 'two' }), proxy()),
      ];
      const body = ask();
      for (const url of [one, two]) {
        const reply = await post(`${url}${chat}`, body);
        expect(reply.headers['cache-status']).to.equal('llm-cache; fwd=miss');
      }
      await eventually(() => others.records().length === 1, 'a record');
      const admin = await start(other.adminRoutes);
      const reply = await fetch(`${admin}/llm-cache/stats`);
      const stats = (await reply.json()) as { pipelines: Record<string, { requests: number }> };
      expect(stats.pipelines).to.have.all.keys('two');
      expect(stats.pipelines['two']?.requests).to.equal(1);
      await other.close();
    });

    describe('The admin routes', () => {
      it(`The admin routes in ${version} work wherever they are mounted, and let other paths pass`, async () => {
        upstream.answer(json(answers.chat.json));
        const own = createLlmCache({}, { log: recordLog() });
        const app = express();
        app.use('/ops/:team', own.adminRoutes);
        app.use(own.llmUsage(), own.llmCache());
        app.post(chat, proxy());
        app.use(((_req, res) => res.writeHead(418).end()) satisfies Handler);
        const url = await startApp(app);
        const admin = `${url}/ops/a/llm-cache`;
        await post(`${url}${chat}`, ask());
        const hit = await post(`${url}${chat}`, { ...ask(), model: 'x' });
        expect(hit.status).to.equal(200);

        const get = async (path: string, init?: RequestInit) => {
          const reply = await fetch(`${admin}${path}`, init);
          return [reply.status, (await reply.json()) as Record<string, unknown>] as const;
        };
        const [, { entries }] = await get('/entries?limit=1');
        const [{ key } = { key: '' }] = entries as { key: string }[];
        const [status, entry] = await get(`/entries/${encodeURIComponent(key)}`);
        expect([status, entry['key']]).to.deep.equal([200, key]);
        expect(entry['namespace']).to.equal('default');
        const path = `/entries/${encodeURIComponent(key)}`;
        expect((await get(path, { method: 'DELETE' }))[0]).to.equal(200);
        expect((await get(path))[0]).to.equal(404);
        expect((await get('/entries?all=1&dry_run=1', { method: 'DELETE' }))[1]).to.include({
          matched: 1,
        });
        expect((await get('/usage'))[1]['total']).to.include({ requests: 2 });
        expect((await get('/nothing'))[0]).to.equal(404);
        expect((await get('/entries', { method: 'PUT' }))[0]).to.equal(404);
        const metrics = await fetch(`${admin}/metrics`);
        expect(await metrics.text()).to.contain('llm_cache_requests_total{pipeline="express"');
        expect((await fetch(`${admin}/stats`, { method: 'HEAD' })).status).to.equal(200);
        expect((await fetch(`${url}/ops/a/else`)).status).to.equal(418);
        expect((await fetch(`${url}/llm-cache/stats`)).status).to.equal(418);
        await own.close();
      });

      it(`The admin routes in ${version} answer to addresses and configured hosts, not to foreign pages`, async () => {
        const own = createLlmCache({ admin: { hosts: ['ops.example.com'] } }, { log: recordLog() });
        const url = await start(own.adminRoutes);
        const statusFor = async (headers: Record<string, string>, path = '/stats') =>
          (await post(`${url}/llm-cache${path}`, '', { method: 'GET', headers })).status;
        expect(await statusFor({})).to.equal(200);
        expect(await statusFor({ host: 'ops.example.com' })).to.equal(200);
        expect(await statusFor({ host: 'rebound.attacker.test' })).to.equal(421);
        expect(await statusFor({ origin: 'https://attacker.test' })).to.equal(403);
        expect(await statusFor({ 'sec-fetch-site': 'cross-site' })).to.equal(403);
        expect(await statusFor({}, '/entries/%E0%A4%A')).to.equal(400);
        const refused = await post(`${url}/llm-cache/stats`, '', {
          method: 'DELETE',
          headers: { host: 'rebound.attacker.test' },
        });
        expect(refused.text).to.contain('admin.hosts of createLlmCache').and.not.contain('.yml');
        await own.close();
      });

      it(`The explain route in ${version} takes a question that a body parser has read, and one that none has`, async () => {
        const own = createLlmCache({}, { log: recordLog() });
        own.llmCache({ apiEndpoint: 'mine', namespace: 'n' });
        for (const parsers of [[], [express.json()], [express.urlencoded({ extended: false })]]) {
          const url = await start(...parsers, own.adminRoutes);
          const asked = { apiEndpoint: 'mine', path: chat, headers: {}, consumer: null };
          const reply = await post(`${url}/llm-cache/explain`, { ...asked, body: ask() });
          expect(reply.status, reply.text).to.equal(200);
          expect(JSON.parse(reply.text)).to.include({ pipeline: 'mine', outcome: 'miss', step: 0 });
        }
        await own.close();
      });
    });
  });
}

describe('The configuration of the Express middleware', () => {
  function refusal(action: () => unknown): string {
    try {
      action();
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigurationError);
      return (error as Error).message;
    }
    throw new Error('nothing was refused');
  }
  const wrong = (value: unknown) => value as LlmCacheOptions;

  it('The Express middleware rejects wrong parameters at once', () => {
    const cache = createLlmCache({}, { log: recordLog() });
    expect(refusal(() => cache.llmCache({ ttl: 0 }))).to.equal(
      'llm-cache: "ttl" must be at least 1, got 0 (seconds an entry is fresh)',
    );
    expect(refusal(() => llmCache(wrong({ scope: 'all' })))).to.equal(
      'llm-cache: "scope" must be one of auto, consumer, credential, shared, got "all"',
    );
    expect(refusal(() => llmCache(wrong({ tll: 1 })))).to.match(
      /^llm-cache: unknown parameter "tll", expected one of store, ttl, .*debugHeaders, apiEndpoint, consumer; did you mean "ttl"\?$/,
    );
    expect(refusal(() => llmUsage(wrong({ ttl: 1 })))).to.equal(
      'llm-usage: unknown parameter "ttl", expected one of provider, maxRequestBytes, maxResponseBytes, apiEndpoint, consumer',
    );
    expect(refusal(() => cache.llmCache({ store: 'shared' }))).to.contain(
      'llm-cache: "store" must be one of memory',
    );
    expect(refusal(() => llmCache(wrong({ consumer: 'ann' })))).to.equal(
      'llm-cache: "consumer" must be a function, got "ann"',
    );
    expect(refusal(() => llmCache({ apiEndpoint: '' }))).to.contain(
      '"apiEndpoint" must not be empty',
    );
    expect(refusal(() => llmCache(wrong('memory')))).to.equal(
      'llm-cache: the value must be an object with store, ttl, namespace, scope, …, got "memory"',
    );
    expect(refusal(() => llmUsage(wrong({ provider: () => 'x' })))).to.contain(
      'llm-usage: "provider" must be a string',
    );
  });

  it('The function createLlmCache rejects wrong settings at once', () => {
    expect(refusal(() => createLlmCache({ limits: { bufferedBytes: 0 } }))).to.equal(
      'createLlmCache: "limits.bufferedBytes" must be at least 1, got 0 (how many bytes of bodies may be held at once)',
    );
    const redis = { type: 'redis', url: 'redis://127.0.0.1:1' } as const;
    expect(refusal(() => createLlmCache({ stores: { shared: redis } }))).to.equal(
      'createLlmCache: "scopeSecret" is missing: with a redis store ("shared") it must be the same in every process; make one with `openssl rand -base64 32`',
    );
    expect(
      refusal(() => createLlmCache({ scopeSecret: 's', stores: { shared: { type: 'redis' } } })),
    ).to.equal('createLlmCache: "stores.shared.url" is missing: expected the url of a Redis');
    expect(refusal(() => createLlmCache({ usage: { ledger: { store: 'far' } } }))).to.equal(
      'createLlmCache: "usage.ledger.store" must be one of memory, got "far"',
    );
  });

  it('The Express middleware warns of suspicious times and sizes without naming gateway files', () => {
    const log = recordLog();
    const huge = { type: 'memory', maxBytes: Number.MAX_SAFE_INTEGER } as const;
    createLlmCache({ stores: { huge } }, { log }).llmCache({ ttl: 86_400_000 });
    const warned = log.lines.join('\n');
    expect(warned).to.contain('createLlmCache: "stores.huge.maxBytes" is');
    expect(warned).to.contain('llm-cache: "ttl" is in seconds, and 86400000');
    expect(warned).to.not.contain('config.yml');
  });

  it('The Express middleware says where an option belongs that the wrong function was given', () => {
    const config = (value: unknown) => value as Parameters<typeof createLlmCache>[0];
    expect(refusal(() => createLlmCache(config({ consumer: () => 'ann' })))).to.equal(
      'createLlmCache: "consumer" is an option of a middleware; it goes to llmCache({ consumer }) and llmUsage({ consumer })',
    );
    expect(refusal(() => createLlmCache(config({ ttl: 60 })))).to.equal(
      'createLlmCache: "ttl" is an option of a middleware; it goes to llmCache({ ttl })',
    );
    expect(refusal(() => createLlmCache(config({ provider: 'x' })))).to.equal(
      'createLlmCache: "provider" is an option of a middleware; it goes to llmUsage({ provider })',
    );
    expect(refusal(() => llmCache(wrong({ stores: {} })))).to.equal(
      'llm-cache: "stores" is a setting of the whole cache; it goes to createLlmCache({ stores })',
    );
    expect(refusal(() => llmUsage(wrong({ usage: {} })))).to.contain('createLlmCache({ usage })');
  });

  it('The Express middleware names no file of the gateway when a store does not exist', () => {
    const { llmCache: of } = createLlmCache({}, { log: recordLog() });
    expect(refusal(() => of({ store: 'memroy' }))).to.equal(
      'llm-cache: "store" must be one of memory (the stores that are configured), got "memroy"; did you mean "memory"?',
    );
  });

  it('The function createLlmCache rejects a sink whose file cannot be written', () => {
    const sinks = [{ type: 'jsonl', path: 'package.json/usage.jsonl' }] as const;
    expect(refusal(() => createLlmCache({ usage: { sinks } }))).to.match(
      /^createLlmCache: "usage\.sinks\.0\.path": .*package\.json/,
    );
  });

  it('The Express middleware leaves the signals of its host alone', async () => {
    const counts = () => ['SIGTERM', 'SIGINT', 'exit'].map((name) => process.listenerCount(name));
    const before = counts();
    const cache = createLlmCache({}, { log: recordLog() });
    cache.llmCache();
    expect(counts()).to.deep.equal(before);
    await cache.flush();
    await cache.close();
  });
});
