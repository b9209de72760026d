import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { eventually } from './eventually.ts';

export interface GatewayOptions {
  /** `gateway.config.yml`, without its ports. */
  readonly gateway: object;
  /** The plugin's settings. */
  readonly settings?: object;
  readonly crypto?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the gateway watches its configuration. */
  readonly watch?: boolean;
  readonly runtime?: 'node' | 'deno';
}

const running = new Set<Gateway>();
function killAll(): void {
  for (const { child, dir } of running) {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
}
// mocha would wait for a child that a failed test has left behind. Outside mocha, in a benchmark, the
// process's exit kills them all.
if (typeof after === 'function') after(killAll);
process.on('exit', killAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killAll();
    process.kill(process.pid, signal);
  });
}

/** The real gateway with the built plugin, in its own process and folder. */
export class Gateway {
  readonly dir: string;
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  readonly #options: GatewayOptions;
  #log = '';

  private constructor(options: GatewayOptions) {
    this.#options = options;
    this.dir = mkdtempSync(join(tmpdir(), 'llm-cache-gateway-'));
    cpSync('node_modules/express-gateway/lib/config/models', join(this.dir, 'models'), {
      recursive: true,
    });
    this.writeSystemConfig(options.settings ?? {});
    this.writeGatewayConfig(options.gateway);
    this.child = spawn(...command(options.runtime ?? 'node', this.dir), {
      cwd: this.dir,
      // Through the channel, the test sets the gateway's clock; only Node has it.
      stdio: ['ignore', 'pipe', 'pipe', ...(options.runtime === 'deno' ? [] : (['ipc'] as const))],
      env: {
        ...process.env,
        EG_CONFIG_DIR: this.dir,
        ...(options.watch ? {} : { EG_DISABLE_CONFIG_WATCH: 'true' }),
        ...options.env,
      },
    });
    running.add(this);
    this.child.stdout?.on('data', (text) => (this.#log += text));
    this.child.stderr?.on('data', (text) => (this.#log += text));
    this.exited = new Promise((done) => {
      this.child.on('close', (code, signal) => {
        running.delete(this);
        rmSync(this.dir, { recursive: true, force: true });
        done({ code, signal });
      });
    });
  }

  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    let over = false;
    void gateway.exited.then(() => (over = true));
    const ready = () => gateway.#port('admin') !== null && gateway.#port('gateway') !== null;
    try {
      // Shorter than mocha's timeout, which could not show the gateway's log.
      await eventually(() => over || ready(), 'the gateway listens', 15_000);
    } catch (error) {
      await gateway.stop('SIGKILL');
      throw new Error(`the gateway did not start:\n${gateway.log}`, { cause: error });
    }
    if (over) throw new Error(`the gateway did not start:\n${gateway.log}`);
    return gateway;
  }

  /** Starts a gateway that is expected to fail. Returns how it exited and what it logged. */
  static async failToStart(
    options: GatewayOptions,
  ): Promise<{ code: number | null; signal: string | null; log: string }> {
    const gateway = new Gateway(options);
    const timer = setTimeout(() => gateway.child.kill('SIGKILL'), 15_000);
    const exit = await gateway.exited;
    clearTimeout(timer);
    return { ...exit, log: gateway.log };
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port('gateway')}`;
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.#port('admin')}`;
  }

  /** The gateway's output, without colours. */
  get log(): string {
    // eslint-disable-next-line no-control-regex
    return this.#log.replaceAll(/\u001b\[\d+m/g, '');
  }

  /** The usage records in the log, oldest first. */
  get records(): UsageRecord[] {
    return [...this.log.matchAll(/llm-usage (\{.*\})$/gm)].map(
      ([, text]) => JSON.parse(text ?? '') as UsageRecord,
    );
  }

  /** Waits for `count` records of requests for that model, and returns them all. */
  async recorded(model: string, count: number): Promise<UsageRecord[]> {
    const found = () => this.records.filter((record) => record.requested_model === model);
    await eventually(() => found().length >= count, `${count} usage records of ${model}`);
    return found();
  }

  /** Sets the gateway's clock ahead by `ms`. */
  async pass(ms: number): Promise<void> {
    const isSet = new Promise((done) => this.child.once('message', done));
    this.child.send({ passMs: ms });
    await isSet;
  }

  async logged(pattern: RegExp): Promise<void> {
    await eventually(() => pattern.test(this.log), `${pattern} in the log`, 10_000);
  }

  writeGatewayConfig(config: object): void {
    const ports = { http: { port: 0 }, admin: { port: 0, host: '127.0.0.1' } };
    writeFileSync(join(this.dir, 'gateway.config.yml'), JSON.stringify({ ...ports, ...config }));
  }

  writeSystemConfig(settings: object): void {
    const config = {
      db: { redis: { emulate: true, namespace: 'EG' } },
      crypto: this.#options.crypto ?? {
        cipherKey: 'a key of the test',
        algorithm: 'aes256',
        saltRounds: 1,
      },
      plugins: { 'llm-cache': { package: resolve('manifest.js'), ...settings } },
    };
    writeFileSync(join(this.dir, 'system.config.yml'), JSON.stringify(config));
  }

  /** Creates a consumer with a key for `key-auth`, in the form `keyId:keySecret`. */
  async createConsumer(username: string): Promise<{ id: string; apiKey: string }> {
    const user = await this.#admin('/users', { username, firstname: 'A', lastname: 'B' });
    const key = await this.#admin('/credentials', {
      consumerId: username,
      type: 'key-auth',
      credential: {},
    });
    return {
      id: String(user['id']),
      apiKey: `${String(key['keyId'])}:${String(key['keySecret'])}`,
    };
  }

  /** Creates an application of that user, with its own key. */
  async createApplication(
    name: string,
    username: string,
  ): Promise<{ id: string; keyId: string; apiKey: string }> {
    const app = await this.#admin('/apps', {
      name,
      redirectUri: 'http://localhost',
      userId: username,
    });
    const id = String(app['id']);
    const key = await this.#admin('/credentials', {
      consumerId: id,
      type: 'key-auth',
      credential: {},
    });
    const keyId = String(key['keyId']);
    return { id, keyId, apiKey: `${keyId}:${String(key['keySecret'])}` };
  }

  async stop(
    signal: NodeJS.Signals = 'SIGTERM',
  ): Promise<{ code: number | null; signal: string | null }> {
    this.child.kill(signal);
    return this.exited;
  }

  #port(server: 'gateway' | 'admin'): string | null {
    const line =
      server === 'gateway'
        ? /gateway http server listening on \S*:(\d+)/
        : /admin http server listening on \S*:(\d+)/;
    return line.exec(this.#log)?.[1] ?? null;
  }

  async #admin(path: string, body: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.adminUrl}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }
}

function command(runtime: 'node' | 'deno', dir: string): [string, string[]] {
  const main = resolve('test/support/gateway-main.cjs');
  if (runtime === 'node') return [process.env['NODE_BINARY'] ?? 'node', [main]];
  const allowed = [
    '--allow-net',
    '--allow-read',
    '--allow-env',
    '--allow-sys',
    `--allow-write=${dir}`,
  ];
  return [
    resolve('node_modules/.bin/deno'),
    ['run', ...allowed, `--config=${resolve('deno.json')}`, main],
  ];
}

/** Creates an HS256 token for the gateway's `jwt` policy. */
export function signJwt(payload: object, secret: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(payload)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
