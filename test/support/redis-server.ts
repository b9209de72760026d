import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { eventually } from './eventually.ts';

/** Whether a redis-server is installed. Prints how to install one if not. */
export function hasRedis(): boolean {
  if (spawnSync('redis-server', ['--version']).status === 0) return true;
  console.warn('      skipped: there is no redis-server (Debian: apt-get install redis-server)');
  return false;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A Redis for one test file. It keeps its port across restarts. */
export class RedisServer {
  readonly port: number;
  readonly #dir = mkdtempSync(join(tmpdir(), 'llm-cache-redis-'));
  #child: ChildProcess | null = null;

  private constructor(port: number) {
    this.port = port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  static async start(options: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.run(options);
    return server;
  }

  /** Reserves a server that is not running yet. */
  static async down(): Promise<RedisServer> {
    return new RedisServer(await freePort());
  }

  async run(options: readonly string[] = []): Promise<void> {
    const own = [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      this.#dir,
    ];
    await this.#spawn([...own, ...options]);
  }

  /** Runs a Sentinel instead of a Redis. */
  async runSentinel(): Promise<void> {
    const file = join(this.#dir, 'sentinel.conf');
    writeFileSync(file, `port ${this.port}\nbind 127.0.0.1\ndir ${this.#dir}\n`);
    await this.#spawn([file, '--sentinel']);
  }

  async #spawn(args: readonly string[]): Promise<void> {
    const child = spawn('redis-server', args, { stdio: 'ignore' });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    await eventually(() => this.#answers(), 'redis-server answers', 10_000);
  }

  /** Stops the process without closing its connections. */
  freeze(): void {
    this.#signal('STOP');
    // The signal takes effect a moment later, so wait for the stopped state.
    const stat = `/proc/${this.#child?.pid}/stat`;
    while (!/\) [Tt] /.test(readFileSync(stat, 'utf8')));
  }

  thaw(): void {
    this.#signal('CONT');
  }

  /** Uses the kill command, since not every runtime's `kill` supports these signals. */
  #signal(name: 'STOP' | 'CONT'): void {
    if (this.#child?.pid !== undefined) spawnSync('kill', [`-${name}`, String(this.#child.pid)]);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.once('connect', () => socket.write('PING\r\n'));
      socket.once('data', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
