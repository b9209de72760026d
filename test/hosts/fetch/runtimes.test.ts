import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import vm from 'node:vm';
import Anthropic from '@anthropic-ai/sdk';
import { expect } from 'chai';
import { build } from 'esbuild';
import { Hono } from 'hono';
import OpenAI from 'openai';
import { type UsageRecord, withLlmCache } from '../../../policies/hosts/fetch/index.ts';
import { answers, requests } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { jsonResponse, read, request, Script, sseResponse } from '../../support/fetch.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

const messages = [{ role: 'user' as const, content: 'Hi!' }];
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** The worker of `hosts/worker.ts` as one file, as a worker's tools would make it. */
async function bundle(format: 'esm' | 'iife'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: ['test/support/worker.ts'],
    bundle: true,
    format,
    globalName: 'worker',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker'],
    logLevel: 'silent',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

describe('The official clients before a cached handler', () => {
  const script = new Script(() => jsonResponse(''));
  const cached = withLlmCache(script.handler);
  const through: typeof fetch = (input, init) => cached(new Request(input, init));
  const openai = new OpenAI({ apiKey: 'sk-test', fetch: through, maxRetries: 0 });
  const anthropic = new Anthropic({ apiKey: 'sk-test', fetch: through, maxRetries: 0 });

  async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
    const items: T[] = [];
    for await (const item of stream) items.push(item);
    return items;
  }
  const calls: Record<string, [() => Response, () => Promise<unknown>]> = {
    'openai chat.completions.create': [
      () => jsonResponse(answers.chat.json),
      () => openai.chat.completions.create({ model: 'gpt-4o', messages }),
    ],
    'openai responses.create, streaming': [
      () => sseResponse(answers.responses.sse),
      async () =>
        all(await openai.responses.create({ model: 'gpt-4o', input: 'Hi!', stream: true })),
    ],
    'anthropic messages.create': [
      () => jsonResponse(answers.messages.json),
      () => anthropic.messages.create({ model: 'claude-opus-4-8', max_tokens: 100, messages }),
    ],
    'anthropic messages.stream': [
      () => sseResponse(answers.messages.sse),
      () =>
        anthropic.messages
          .stream({ model: 'claude-haiku-5', max_tokens: 100, messages })
          .finalMessage(),
    ],
  };
  for (const [name, [answer, call]] of Object.entries(calls)) {
    it(`The client call "${name}" gets the same from a cached handler as from the provider`, async () => {
      script.answer(answer);
      const before = script.requests.length;
      const miss = plain(await call());
      const hit = plain(await call());
      expect(hit).to.deep.equal(miss);
      expect(JSON.stringify(miss)).to.match(/Hello/);
      expect(script.requests.length).to.equal(before + 1);
    });
  }
});

describe('A cached handler', () => {
  it('A cached handler can be a whole Hono app, whose other routes are unchanged', async () => {
    let calls = 0;
    const app = new Hono()
      .get('/health', (context) => context.text('well'))
      .post('/v1/chat/completions', async (context) => {
        calls++;
        expect(await context.req.json()).to.deep.equal(requests.chat.body);
        return context.body(answers.chat.json, 200, { 'content-type': 'application/json' });
      });
    const waited: Promise<unknown>[] = [];
    const cached = withLlmCache(app.fetch);
    const context = {
      waitUntil: (promise: Promise<unknown>) => void waited.push(promise),
      passThroughOnException() {},
      props: {},
    };
    expect((await read(cached(request(), {}, context))).text).to.equal(answers.chat.json);
    await Promise.all(waited);
    const hit = await read(cached(request(), {}, context));
    expect([hit.text, hit.headers['x-cache']]).to.deep.equal([answers.chat.json, 'HIT (exact)']);
    expect(calls).to.equal(1);
    const other = await read(cached(request({ path: '/health', method: 'GET' })));
    expect([other.text, other.headers['cache-status']]).to.deep.equal(['well', undefined]);
  });

  it('A cached handler needs only Web APIs, and makes no code from text', async () => {
    const names = [
      'Request Response Headers URL ReadableStream TextEncoder TextDecoder DecompressionStream',
      'AbortController AbortSignal ByteLengthQueuingStrategy DOMException Uint8Array ArrayBuffer',
      'crypto btoa atob setTimeout clearTimeout structuredClone performance console',
    ].flatMap((line) => line.split(' '));
    const web = Object.fromEntries(
      names.map((name) => [name, globalThis[name as keyof typeof globalThis] as unknown]),
    );
    const context = vm.createContext(web, { codeGeneration: { strings: false, wasm: false } });
    vm.runInContext(await bundle('iife'), context);
    expect(() => vm.runInContext('new Function("")', context)).to.throw();
    const { fetch: cached } = vm.runInContext('worker.default', context) as {
      fetch: (request: Request) => Promise<Response>;
    };
    for (const body of [requests.chat.body, { ...requests.chat.body, stream: true }]) {
      const miss = await read(cached(request({ body })));
      await new Promise((done) => setTimeout(done, 20));
      const hit = await read(cached(request({ body })));
      expect([miss.headers['cache-status'], hit.headers['x-cache']]).to.deep.equal([
        'llm-cache; fwd=miss',
        'HIT (exact)',
      ]);
      expect(hit.text).to.equal(miss.text);
    }
    const { records } = (await (await cached(new Request('http://proxy.test/calls'))).json()) as {
      records: UsageRecord[];
    };
    expect(records.map(({ cache_type: type, total_tokens: total }) => [type, total])).to.deep.equal(
      [
        [null, 16],
        ['exact', 16],
        [null, 16],
        ['exact', 16],
      ],
    );
  });
});

describe('A cached handler on workerd', function () {
  this.timeout(30_000);
  const dir = mkdtempSync(join(tmpdir(), 'llm-cache-worker-'));
  let runtime: ChildProcess | null = null;
  let url: string;

  before(async function () {
    const binary = resolve('node_modules/workerd/bin/workerd');
    // There is none for some machines.
    if (!existsSync(binary)) return this.skip();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    writeFileSync(join(dir, 'worker.js'), await bundle('esm'));
    writeFileSync(
      join(dir, 'config.capnp'),
      `using Workerd = import "/workerd/workerd.capnp";
       const config :Workerd.Config = (
         services = [(name = "main", worker = .worker)],
         sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
       );
       const worker :Workerd.Worker = (
         modules = [(name = "worker", esModule = embed "worker.js")],
         compatibilityDate = "2024-01-01",
       );`,
    );
    runtime = spawn(binary, ['serve', join(dir, 'config.capnp')], { stdio: 'ignore' });
    await eventually(
      () =>
        fetch(`${url}/calls`).then(
          ({ ok }) => ok,
          () => false,
        ),
      'workerd listens',
      15_000,
    );
  });
  after(async () => {
    const ended = new Promise((done) => runtime?.once('exit', done) ?? done(null));
    runtime?.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true });
  });

  const ask = (body: object) =>
    read(
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    );
  const state = async () =>
    (await (await fetch(`${url}/calls`)).json()) as { calls: number; records: UsageRecord[] };

  it('A cached handler on workerd answers JSON and streams from the cache, and keeps the books', async () => {
    for (const [body, text] of [
      [{ model: 'json' }, answers.chat.json],
      [{ model: 'sse', stream: true }, answers.chat.sse],
    ] as const) {
      const before = await state();
      const miss = await ask(body);
      expect([miss.headers['cache-status'], miss.text]).to.deep.equal([
        'llm-cache; fwd=miss',
        text,
      ]);
      await eventually(
        async () => (await state()).records.length > before.records.length,
        'the record',
      );
      const hit = await ask(body);
      expect([hit.headers['x-cache'], hit.text]).to.deep.equal(['HIT (exact)', text]);
      expect((await state()).calls).to.equal(before.calls + 1);
    }
  });

  it('A cached handler on workerd lets identical concurrent requests each make their call', async () => {
    const { calls } = await state();
    const all = await Promise.all([1, 2, 3].map(() => ask({ model: 'at once', stream: true })));
    for (const one of all) expect(one.text).to.equal(answers.chat.sse);
    expect((await state()).calls).to.be.within(calls + 1, calls + 3);
    expect((await ask({ model: 'at once', stream: true })).headers['x-cache']).to.equal(
      'HIT (exact)',
    );
  });
});

describe('examples/deno', function () {
  this.timeout(30_000);
  let upstream: Upstream;
  let server: ChildProcess;
  let output = '';
  let url: string;

  before(async () => {
    upstream = await Upstream.start();
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    server = spawn(
      resolve('node_modules/.bin/deno'),
      ['run', '--allow-net', '--allow-env', '--allow-read', 'examples/deno/server.ts'],
      { env: { ...process.env, PORT: String(port), UPSTREAM_URL: upstream.url } },
    );
    server.stdout?.on('data', (text) => (output += text));
    server.stderr?.on('data', (text) => (output += text));
    await eventually(() => output.includes('Listening'), 'it listens', 15_000).catch(() => {
      throw new Error(output);
    });
  });
  after(async () => {
    server.kill('SIGKILL');
    await upstream.close();
  });

  it('The Deno example is a proxy of at most 20 lines', () => {
    const lines = readFileSync('examples/deno/server.ts', 'utf8').split('\n');
    expect(lines.filter((line) => line.trim() !== '').length).to.be.at.most(20);
  });

  for (const [what, stream, answer, text] of [
    ['JSON', false, json(answers.chat.json), answers.chat.json],
    ['a stream', true, sse(answers.chat.sse), answers.chat.sse],
  ] as const) {
    it(`The Deno example answers ${what} from the cache, and logs what was saved`, async () => {
      upstream.answer(answer);
      const before = upstream.requests.length;
      const body = JSON.stringify({ model: 'gpt-4o', messages, stream });
      const ask = () =>
        read(
          fetch(`${url}/v1/chat/completions`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body,
          }),
        );
      expect((await ask()).text).to.equal(text);
      const hit = await ask();
      expect([hit.text, hit.headers['x-cache']]).to.deep.equal([text, 'HIT (exact)']);
      expect(upstream.requests.length).to.equal(before + 1);
      expect(upstream.last.body.toString()).to.equal(body);
      await eventually(() => /"cache_type":"exact".*/.test(output), 'the record');
    });
  }
});
