import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import zlib from 'node:zlib';
import { Gateway } from '../../test/support/gateway.ts';
import { post, type Reply } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { json, Upstream } from '../../test/support/upstream.ts';
import { dial, headOf, heldBy, longestTurn, rssOf, withTurns } from './process.ts';
import { answerTo, chat, type Finding, pause } from './scenario.ts';

const path = '/api/v1/chat/completions';
const mebibyte = 1024 * 1024;
const turns = join(tmpdir(), `llm-cache-turns-${process.pid}`);

interface Bench {
  readonly gateway: Gateway;
  readonly upstream: Upstream;
  ask(body: string | Buffer | object, headers?: Readonly<Record<string, string>>): Promise<Reply>;
}

async function bench(
  settings: object,
  env: Readonly<Record<string, string>>,
  run: (bench: Bench) => Promise<Finding>,
): Promise<Finding> {
  const upstream = await Upstream.start();
  upstream.answer(json(answerTo('hello')));
  const gateway = await Gateway.start({
    settings: { usage: { sinks: [] }, ...settings },
    env,
    gateway: gatewayConfig(upstream.url, { api: both() }),
  });
  try {
    await post(`${gateway.url}${path}`, chat({ user: 'warm' }));
    const ask: Bench['ask'] = (body, headers = {}) =>
      post(`${gateway.url}${path}`, body, { headers });
    return await run({ gateway, upstream, ask });
  } finally {
    await gateway.stop('SIGKILL');
    await upstream.close();
  }
}

/** A client sends a body of 4 MB in one-byte chunks to a gateway with a heap of 512 MiB. */
export const pieces = (): Promise<Finding> =>
  bench({}, { NODE_OPTIONS: '--max-old-space-size=512' }, async ({ gateway, upstream }) => {
    const body = Buffer.from(JSON.stringify(chat({ user: 'x'.repeat(4_000_000) })));
    const wire = Buffer.alloc(body.length * 6);
    for (let at = 0; at < body.length; at++)
      wire.set([0x31, 13, 10, body[at] ?? 0, 13, 10], at * 6);
    const before = rssOf(gateway.child.pid);
    let peak = before;
    const meter = setInterval(() => (peak = Math.max(peak, rssOf(gateway.child.pid))), 50);
    const socket = dial(gateway, headOf(path, { 'transfer-encoding': 'chunked' }));
    socket.write(wire);
    socket.write('0\r\n\r\n');
    const [first] = (await once(socket, 'data')) as [Buffer];
    clearInterval(meter);
    socket.destroy();
    const isWhole = upstream.last.body.equals(body);
    return {
      what: 'a request body of 4 MB in chunks of one byte, with a heap of 512 MiB',
      figures: `${isWhole ? 'forwarded whole' : 'LOST'}; resident memory grew by ${(peak - before).toFixed(0)} MB`,
      held: isWhole && first.toString().startsWith('HTTP/1.1 200') && peak - before < 100,
    };
  });

/** Uploads declare the largest allowed body and then stall: some after one byte, some before the end. */
export const stalled = (): Promise<Finding> =>
  bench({}, {}, async ({ gateway, ask }) => {
    const declared = 10 * mebibyte;
    const begin = headOf(path, { 'content-length': declared });
    const idle = Array.from({ length: 200 }, () => dial(gateway, `${begin}{`));
    await pause(500);
    const heldIdle = await heldBy(gateway);
    const known = (await ask(chat({ user: 'warm' }))).headers['x-cache'];
    const nearly = Buffer.concat([Buffer.from(begin), Buffer.alloc(declared - 10, ' ')]);
    const full = Array.from({ length: 40 }, () => dial(gateway, nearly));
    await pause(2000);
    const heldFull = await heldBy(gateway);
    const hit = (await ask(chat({ user: 'warm' }))).headers['x-cache'];
    const fresh = (await ask(chat({ user: 'x'.repeat(100_000) }))).headers['cache-status'];
    for (const socket of [...idle, ...full]) socket.destroy();
    const isServed = known !== undefined && hit !== undefined && fresh === 'llm-cache; fwd=miss';
    return {
      what: '200 uploads that declare 10 MiB each and send one byte, and 40 that send all but 10 bytes',
      figures: `${heldIdle} bytes held for the first; ${(heldFull / mebibyte).toFixed(0)} of 256 MiB with the others; hits and new requests ${isServed ? 'went on as before' : 'were TURNED AWAY'}`,
      held: isServed && heldIdle < 100_000,
    };
  });

/** Clients request a large hit and do not read it. */
export const readers = (): Promise<Finding> =>
  bench({ limits: { bufferedBytes: 64 * mebibyte } }, {}, async ({ gateway, upstream, ask }) => {
    upstream.answer(json(answerTo('y'.repeat(8_000_000))));
    const body = JSON.stringify(chat({ user: 'large' }));
    await ask(body);
    await ask(body);
    const before = rssOf(gateway.child.pid);
    const request = headOf(path, { 'content-length': Buffer.byteLength(body) }) + body;
    const sockets = Array.from({ length: 100 }, () => dial(gateway, request).pause());
    await pause(2000);
    const grown = rssOf(gateway.child.pid) - before;
    const held = await heldBy(gateway);
    for (const socket of sockets) socket.destroy();
    return {
      what: '100 clients that ask for a stored answer of 8 MB and do not read it',
      figures: `${(held / 1e6).toFixed(0)} MB held; resident memory grew by ${Math.max(0, grown).toFixed(0)} MB`,
      held: held > 0 && held < 17e6 && grown < 100,
    };
  });

/** Clients send bodies of nearly 10 MiB in awkward shapes. */
export const loop = (): Promise<Finding> =>
  bench({}, withTurns(turns), async ({ gateway, ask }) => {
    const size = 10 * mebibyte - 2000;
    const fill = (item: string) =>
      Array(Math.floor(size / (item.length + 1)))
        .fill(item)
        .join(',');
    const members = Array.from({ length: 800_000 }, (_, at) => `"k${at.toString(36)}":1`).join(',');
    const shapes = [
      JSON.stringify('x'.repeat(size)),
      `[${fill('1')}]`,
      `[${fill('1.0')}]`,
      `[${fill('{}')}]`,
      `[${fill('['.repeat(490) + ']'.repeat(490))}]`,
      `[${fill('"\\u0041"')}]`,
      `"${'\\ud800'.repeat(size / 6 - 1)}"`,
      `{${members}}`,
      '1'.repeat(size),
      `${'['.repeat(size / 2 - 1)}${']'.repeat(size / 2 - 1)}`,
    ];
    const waits: number[] = [];
    let answered = 0;
    for (const shape of shapes) {
      const body = Buffer.from(`{"model":"gpt-4o","messages":[],"m":${shape}}`);
      const { ms, result } = await longestTurn(gateway, turns, () => ask(body));
      if (result.status === 200) answered++;
      waits.push(ms);
    }
    const longest = Math.max(...waits);
    return {
      what: `request bodies of 10 MiB in ${shapes.length} awkward shapes (numbers, nesting, escapes, members)`,
      figures: `${answered} answered; the longest event loop turn took ${longest.toFixed(0)} ms`,
      held: answered === shapes.length && longest < 50,
    };
  });

/** The upstream sends decompression bombs. */
export const bombs = (): Promise<Finding> =>
  bench({}, withTurns(turns), async ({ gateway, upstream, ask }) => {
    const gz = (bytes: Buffer) => zlib.gzipSync(bytes, { level: 9 });
    const one = Buffer.concat(Array<Buffer>(100).fill(gz(Buffer.alloc(10_000_000, 97))));
    const bombsOf: readonly (readonly [string, Buffer])[] = [
      ['gzip', one],
      ['gzip, gzip', gz(one)],
      ['gzip, gzip, gzip', gz(Buffer.concat(Array<Buffer>(100).fill(gz(one))))],
    ];
    const before = rssOf(gateway.child.pid);
    let asIs = 0;
    let longest = 0;
    for (const [coding, bytes] of bombsOf) {
      upstream.answer(json(bytes, { 'content-encoding': coding }));
      const { ms, result } = await longestTurn(gateway, turns, async () => {
        const reply = await ask(chat({ user: coding }));
        await pause(1000);
        return reply;
      });
      longest = Math.max(longest, ms);
      if (result.body.equals(bytes)) asIs++;
    }
    const grown = rssOf(gateway.child.pid) - before;
    return {
      what: 'answers of 1 GB and more in up to three layers of gzip',
      figures: `${asIs} of ${bombsOf.length} delivered unchanged; resident memory grew by ${Math.max(0, grown).toFixed(0)} MB; the longest event loop turn took ${longest.toFixed(0)} ms`,
      held: asIs === bombsOf.length && grown < 200,
    };
  });
