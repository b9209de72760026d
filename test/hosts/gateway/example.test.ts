import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';

const start = join(process.cwd(), 'examples', 'gateway', 'start.js');

type Ports = Readonly<Record<'EG_HTTP_PORT' | 'EG_ADMIN_PORT' | 'UPSTREAM_PORT', number>>;

/** The demo in a process of its own, as `npm start` runs it after the build. */
class Demo {
  output = '';
  readonly ended: Promise<unknown[]>;
  readonly #child: ChildProcess;
  #onOutput: () => void = () => {};

  constructor(ports: Ports, usageFile: string) {
    const settings = Object.entries({ ...ports, UPSTREAM_TOKEN_MS: 2, USAGE_FILE: usageFile });
    this.#child = spawn(process.execPath, [start], {
      env: { ...process.env, ...Object.fromEntries(settings.map(([k, v]) => [k, String(v)])) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.#onOutput();
      });
    }
    // `close` comes when the output is complete as well.
    this.ended = once(this.#child, 'close');
  }

  /** Resolves once the output has as many matches. */
  async printed(pattern: RegExp, times = 1): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#onOutput = () => {
        if (this.count(pattern) >= times) resolve();
      };
      this.#onOutput();
    });
    const end = this.ended.then(() => {
      throw new Error(`the demo ended without printing ${pattern} ${times} times:\n${this.output}`);
    });
    await Promise.race([seen, end]);
  }

  count(pattern: RegExp): number {
    return this.output.match(new RegExp(pattern, `${pattern.flags}g`))?.length ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** A printed line, run by a shell as a reader would. */
async function run(line: string): Promise<Reply> {
  const { stdout } = await promisify(execFile)('sh', ['-c', line], {
    encoding: 'buffer',
    env: { ...process.env, no_proxy: '*' },
  });
  const endOfHead = stdout.indexOf('\r\n\r\n');
  const [first = '', ...lines] = stdout.toString('latin1', 0, endOfHead).split('\r\n');
  return {
    status: Number(first.split(' ')[1]),
    headers: new Headers(lines.map((one) => one.split(/: ?(.*)/s, 2) as [string, string])),
    body: stdout.subarray(endOfHead + 4),
  };
}

async function post(url: string, body: object): Promise<Reply> {
  const res = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return {
    status: res.status,
    headers: res.headers,
    body: Buffer.from(await res.arrayBuffer()),
  };
}

async function listen(port: number, host?: string): Promise<Server> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  return server;
}

async function freePorts(): Promise<Ports> {
  const servers = await Promise.all([listen(0), listen(0), listen(0)]);
  const [http = 0, admin = 0, upstream = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  );
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return { EG_HTTP_PORT: http, EG_ADMIN_PORT: admin, UPSTREAM_PORT: upstream };
}

describe('The demo of npm start', () => {
  const stackTrace = /^ +at /m;
  const upstreamCall = /^\[upstream\] call/m;
  const record = /llm-usage \{.*"cache_type":/;
  const exactRecord = /llm-usage \{.*"cache_type":"exact"/;
  let directory: string;
  let usageFile: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'llm-cache-demo-'));
    usageFile = join(directory, 'usage.jsonl');
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  describe('The running demo', () => {
    let demo: Demo;
    let url: string;

    before(async () => {
      const ports = await freePorts();
      url = `http://localhost:${ports.EG_HTTP_PORT}`;
      demo = new Demo(ports, usageFile);
      await demo.printed(/Ctrl\+C/);
    });
    after(async () => {
      demo.kill('SIGKILL');
      await demo.ended;
    });

    /** Asks twice, and expects the second answer from the cache: the hit of the contract. */
    async function expectReplay(ask: () => Promise<Reply>): Promise<Reply> {
      const calls = demo.count(upstreamCall);
      const records = demo.count(exactRecord);

      const first = await ask();
      expect(first.status).to.equal(200);
      expect(first.headers.get('x-cache')).to.equal(null);
      expect(first.headers.get('cache-status')).to.equal('llm-cache; fwd=miss');
      await demo.printed(upstreamCall, calls + 1);

      const second = await ask();
      expect(second.status).to.equal(200);
      expect(second.headers.get('x-cache')).to.equal('HIT (exact)');
      expect(second.headers.get('cache-status')).to.match(/^llm-cache; hit; ttl=\d+$/);
      expect(second.headers.get('age')).to.match(/^\d+$/);
      expect(second.headers.get('content-type')).to.equal(first.headers.get('content-type'));
      expect(second.body.equals(first.body), 'the same bytes').to.equal(true);
      await demo.printed(exactRecord, records + 1);
      expect(demo.count(upstreamCall), 'calls of the provider').to.equal(calls + 1);
      return second;
    }

    it('The demo listens on this machine alone', () => {
      const listening = [...demo.output.matchAll(/server listening on (\S*):\d+/g)];
      expect(listening.map(([, host]) => host)).to.deep.equal(['127.0.0.1', '127.0.0.1']);
    });

    it('The demo prints three curl lines, which answer from the cache the second time', async function () {
      if (spawnSync('curl', ['--version']).error) this.skip();
      const lines = demo.output.match(/^curl .*$/gm) ?? [];
      expect(lines).to.have.length(3);
      const [json = '', stream = '', team = ''] = lines;

      const answer = await expectReplay(() => run(json));
      expect(JSON.parse(answer.body.toString())).to.include({ object: 'chat.completion' });
      const events = await expectReplay(() => run(stream));
      expect(events.body.toString()).to.match(/^data: .*\n\ndata: \[DONE\]\n\n$/s);
      const own = await expectReplay(() => run(team));
      expect(own.headers.get('x-ratelimit-limit')).to.equal('60');
      expect(own.body.equals(answer.body), "another consumer's answer").to.equal(false);
    });

    const messages = [{ role: 'user', content: 'Why twice?' }];
    const requests: readonly (readonly [string, object])[] = [
      ['/v1/chat/completions', { messages }],
      ['/v1/completions', { prompt: 'Why twice?', max_tokens: 5 }],
      ['/v1/responses', { input: 'Why twice?' }],
      ['/v1/embeddings', { input: ['Why', 'twice?'], dimensions: 8 }],
      ['/v1/messages', { messages, max_tokens: 100 }],
    ];
    for (const [path, rest] of requests) {
      const forms = path === '/v1/embeddings' ? [false] : [false, true];
      for (const stream of forms) {
        it(`The demo answers ${path} from the cache the second time, ${stream ? 'as a stream' : 'as JSON'}`, async () => {
          const body = { model: 'a-model', ...rest, ...(stream ? { stream } : {}) };
          const { headers } = await expectReplay(() => post(`${url}${path}`, body));
          expect(headers.get('content-type')).to.contain(stream ? 'event-stream' : 'json');
        });
      }
    }

    it('The demo lets no request into /team without a key', async () => {
      const { status } = await post(`${url}/team/v1/chat/completions`, { model: 'm', messages });
      expect(status).to.equal(401);
    });

    it('The demo passes on a refusal of the provider, and does not store it', async () => {
      for (const _time of [1, 2]) {
        const { status, headers, body } = await post(`${url}/v1/messages`, { model: 'm' });
        expect(status).to.equal(400);
        expect(headers.get('cache-status')).to.equal('llm-cache; fwd=miss');
        expect(JSON.parse(body.toString()).type).to.equal('error');
      }
    });

    it('The demo ends at SIGTERM with status 0, its usage records written', async () => {
      await post(`${url}/v1/embeddings`, { model: 'the last one', input: 'Why twice?' });
      await demo.printed(/llm-usage \{.*"the last one"/);
      const [printed, exact] = [demo.count(record), demo.count(exactRecord)];
      demo.kill('SIGTERM');
      expect(await demo.ended).to.deep.equal([0, null]);
      const lines = readFileSync(usageFile, 'utf8').trimEnd().split('\n');
      const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(records).to.have.length(printed);
      const hits = records.filter((one) => one['cache_type'] === 'exact');
      expect(hits).to.have.length(exact);
      for (const hit of hits) expect(hit['billed']).to.equal(false);
    });
  });

  // The gateway listens on every address, the other two on this machine's own.
  const listeners = [
    ['EG_HTTP_PORT', undefined],
    ['EG_ADMIN_PORT', '127.0.0.1'],
    ['UPSTREAM_PORT', '127.0.0.1'],
  ] as const;
  for (const [variable, host] of listeners) {
    it(`The demo says that the port of ${variable} is taken, and ends with status 1`, async () => {
      const ports = await freePorts();
      const other = await listen(ports[variable], host);
      const demo = new Demo(ports, usageFile);
      expect(await demo.ended).to.deep.equal([1, null]);
      other.close();
      const told = new RegExp(
        `^Port ${ports[variable]} is taken: .* ${variable}=\\d+ npm start$`,
        'm',
      );
      expect(demo.output).to.match(told).and.not.match(stackTrace);
    });
  }

  it('The demo says what a port may be, and ends with status 1', async () => {
    const demo = new Demo({ ...(await freePorts()), EG_HTTP_PORT: 65536 }, usageFile);
    expect(await demo.ended).to.deep.equal([1, null]);
    expect(demo.output)
      .to.contain('EG_HTTP_PORT must be a port from 1 to 65535, not "65536"\n')
      .and.not.match(stackTrace);
  });
});
