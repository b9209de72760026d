import type http from 'node:http';
import { expect } from 'chai';
import httpProxy from 'http-proxy';
import {
  createLlmCache,
  type ExpressMiddleware,
  type LlmCache,
} from '../../../policies/hosts/express/index.ts';
import { answers, requests } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { expresses, type Handler, listen, type Running } from '../../support/express.ts';
import { begin, post } from '../../support/http.ts';
import { Gate, gated, sse, Upstream } from '../../support/upstream.ts';

const events = answers.chat.sse.split(/(?<=\n\n)/);
const [first = '', ...rest] = events;

for (const [version, express] of Object.entries(expresses)) {
  describe(`A policy that wraps the response in ${version}`, () => {
    const lines: string[] = [];
    const keep = (line: string) => void lines.push(line);
    let cache: LlmCache;
    let running: Running | null = null;
    let provider: Upstream;
    let proxy: Handler;
    let asked = 0;

    before(async () => {
      provider = await Upstream.start();
      const server = httpProxy.createProxyServer({ target: provider.url });
      proxy = (req, res) => server.web(req, res);
    });
    after(() => provider.close());
    beforeEach(() => {
      lines.length = 0;
      asked = 0;
      const config = { usage: { sinks: [] } };
      cache = createLlmCache(config, { log: { info: keep, warn: keep, error: keep } });
    });
    afterEach(async () => {
      await running?.close();
      running = null;
      await cache.close();
    });

    async function start(...steps: (Handler | ExpressMiddleware)[]): Promise<string> {
      const app = express();
      app.use(cache.adminRoutes);
      for (const step of steps) app.use(step);
      running = await listen(app);
      return `${running.url}${requests.chat.path}`;
    }
    const answer: Handler = (_req, res) => {
      asked++;
      res.setHeader('content-type', 'application/json');
      res.end(answers.chat.json.replace('Hello', `Hello ${asked}`));
    };
    const outcomes = async (url: string) => {
      const response = await fetch(new URL('/llm-cache/stats', url));
      const { pipelines } = (await response.json()) as {
        pipelines: Record<string, { requests: number; outcomes: object; reasons: object }>;
      };
      return pipelines['express'];
    };
    const question = { model: 'gpt-4o' };

    const failing: Record<string, (res: http.ServerResponse) => void> = {
      'throws at a header of a hit': (res) => {
        const { setHeader } = res;
        res.setHeader = (name, value) => {
          if (String(value).startsWith('HIT')) throw new Error('no such header here');
          return setHeader.call(res, name, value);
        };
      },
      'throws at the bytes of a hit': (res) => {
        const { write } = res;
        res.write = ((...args: unknown[]) => {
          if (res.hasHeader('age')) throw new Error('no such bytes here');
          return Reflect.apply(write, res, args) as boolean;
        }) as typeof res.write;
      },
    };
    it(`In ${version}, no client waits for the rest behind a wrapper that throws at the end of an answer`, async () => {
      const wrapping: Handler = (_req, res, next) => {
        res.end = () => {
          throw new Error('no such end here');
        };
        next();
      };
      const url = await start(wrapping, cache.llmUsage(), cache.llmCache(), proxy);
      provider.answer(sse(answers.chat.sse));
      const reply = await post(url, { ...question, stream: true }).catch(() => null);
      expect(reply?.broken).to.not.equal(false);
      expect(lines.join()).to.match(/a response could not be written/);
    });

    for (const [what, wrap] of Object.entries(failing)) {
      it(`The cache in ${version} forwards a hit to the upstream when a wrapper ${what}, counted and logged once`, async () => {
        const wrapping: Handler = (_req, res, next) => {
          wrap(res);
          next();
        };
        const url = await start(wrapping, cache.llmUsage(), cache.llmCache(), answer);
        await post(url, question);
        for (const nth of [2, 3]) {
          const reply = await post(url, question);
          expect(reply.text).to.contain(`Hello ${nth}`);
          expect([reply.status, reply.broken]).to.deep.equal([200, false]);
          expect(reply.headers['cache-status']).to.equal(
            'llm-cache; fwd=bypass; detail=store-error',
          );
          expect(reply.headers).to.not.have.any.keys('x-cache', 'age');
        }
        const { requests: count, outcomes: counted, reasons } = (await outcomes(url)) ?? {};
        expect([count, reasons]).to.deep.equal([3, { 'store-error': 2 }]);
        expect(counted).to.include({ hit: 0, miss: 1, bypass: 2 });
        expect(lines.filter((line) => line.includes('could not be delivered')).length).to.equal(1);
      });
    }

    it(`The cache in ${version} lets a joined client call by itself when its wrapper throws`, async () => {
      const gate: (() => void)[] = [];
      const streamed: Handler = async (_req, res) => {
        asked++;
        res.setHeader('content-type', 'text/event-stream');
        res.write(first);
        await new Promise<void>((resolve) => gate.push(resolve));
        for (const event of rest) res.write(event);
        res.end();
      };
      const wrapping: Handler = (req, res, next) => {
        const { write } = res;
        const mode = req.headers['x-throws'];
        let bytes = 0;
        res.write = ((...args: unknown[]) => {
          bytes += Buffer.byteLength(args[0] as Buffer);
          const isCoalesced = res.getHeader('x-cache') === 'HIT (coalesced)';
          if (isCoalesced && (mode === 'first' || (mode === 'later' && bytes > first.length))) {
            throw new Error('no such bytes here');
          }
          return Reflect.apply(write, res, args) as boolean;
        }) as typeof res.write;
        next();
      };
      const url = await start(wrapping, cache.llmUsage(), cache.llmCache(), streamed);
      const body = { ...question, stream: true };
      const leader = await begin(url, body);
      const good = await begin(url, body);
      const later = await begin(url, body, { headers: { 'x-throws': 'later' } });
      const never = await begin(url, body, { headers: { 'x-throws': 'first' } });
      expect(never.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=store-error');
      expect(asked).to.equal(2);
      for (const open of gate) open();
      for (const { reply } of [leader, good, never]) {
        expect([(await reply).text, (await reply).broken]).to.deep.equal([answers.chat.sse, false]);
      }
      const cut = await later.reply;
      expect([cut.text, cut.broken]).to.deep.equal([first, true]);
    });

    for (const place of ['before', 'between', 'behind']) {
      it(`The cache in ${version} streams to all though a wrapper ${place} the policies returns nothing from write`, async () => {
        const gate = new Gate();
        provider.answer(gated(events, gate));
        const wrapping: Handler = (_req, res, next) => {
          const { write } = res;
          res.write = ((...args: unknown[]) => void Reflect.apply(write, res, args)) as never;
          next();
        };
        const policies = [cache.llmUsage(), cache.llmCache()];
        policies.splice(['before', 'between', 'behind'].indexOf(place), 0, wrapping);
        const url = await start(...policies, proxy);
        const body = { ...question, stream: true };
        const readers = [await begin(url, body), await begin(url, body)];
        for (const _ of events) gate.pass();
        for (const { reply } of readers) expect((await reply).text).to.equal(answers.chat.sse);
      });
    }

    it(`The cache in ${version} serves joined clients though a wrapper swallows another's drain event`, async () => {
      const gate = new Gate();
      provider.answer(gated(events, gate));
      const wrapping: Handler = (req, res, next) => {
        if (req.headers['x-slow'] === undefined) return next();
        const { on, write } = res;
        res.on = (event: string, listener: (...args: never[]) => void) =>
          event === 'drain' ? res : on.call(res, event, listener as never);
        res.write = ((...args: unknown[]) => {
          Reflect.apply(write, res, args);
          return false;
        }) as typeof res.write;
        next();
      };
      const url = await start(wrapping, cache.llmCache(), proxy);
      const body = { ...question, stream: true };
      await begin(url, body, { headers: { 'x-slow': '1' } });
      const joined = await begin(url, body);
      for (const _ of events) gate.pass();
      expect((await joined.reply).text).to.equal(answers.chat.sse);
    });

    it(`The cache in ${version} survives a wrapper that throws mid-answer, and ends the answer broken`, async () => {
      const gate = new Gate();
      provider.answer(gated(events, gate));
      const wrapping: Handler = (_req, res, next) => {
        const { write } = res;
        let writes = 0;
        res.write = ((...args: unknown[]) => {
          if (++writes > 1) throw new Error('no more');
          return Reflect.apply(write, res, args) as boolean;
        }) as typeof res.write;
        next();
      };
      const url = await start(wrapping, cache.llmUsage(), cache.llmCache(), proxy);
      const begun = await begin(url, { ...question, stream: true });
      for (const _ of events) gate.pass();
      const reply = await begun.reply;
      expect([reply.text, reply.broken]).to.deep.equal([first, true]);
      expect(lines.filter((line) => line.includes('could not be written')).length).to.equal(1);
      await eventually(async () => (await outcomes(url))?.requests === 1, 'it is counted');
    });

    it(`The cache in ${version} tells a client not to retry a 504 for only-if-cached`, async () => {
      const url = await start(cache.llmUsage(), cache.llmCache(), answer);
      const only = { headers: { 'cache-control': 'only-if-cached' } };
      const reply = await post(url, question, only);
      expect([reply.status, reply.headers['x-should-retry']]).to.deep.equal([504, 'false']);
      await post(url, question);
      expect((await post(url, question, only)).headers).to.not.have.property('x-should-retry');
    });
  });
}
