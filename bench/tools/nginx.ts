import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { eventually } from '../../test/support/eventually.ts';

export const hasNginx = () => spawnSync('nginx', ['-v']).status === 0;

/** An nginx with one worker that caches a provider's answers by path, query, credential and body. */
export class Nginx {
  readonly url: string;
  readonly pid: number | undefined;
  readonly #child: ChildProcess;
  readonly #dir: string;

  private constructor(child: ChildProcess, dir: string, port: number) {
    this.#child = child;
    this.#dir = dir;
    this.pid = child.pid;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(provider: string): Promise<Nginx> {
    const dir = mkdtempSync(join(tmpdir(), 'llm-cache-nginx-'));
    const port = await freePort();
    writeFileSync(join(dir, 'nginx.conf'), configuration(dir, port, provider));
    const args = ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')];
    const child = spawn('nginx', args, { stdio: 'ignore' });
    process.on('exit', () => child.kill('SIGKILL'));
    const nginx = new Nginx(child, dir, port);
    const answers = () => fetch(nginx.url).then(Boolean, () => false);
    await eventually(answers, 'nginx answers', 10_000);
    return nginx;
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await gone;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

// No master process, so that the process started here does the work and can be stopped.
const configuration = (dir: string, port: number, provider: string) => `
daemon off;
master_process off;
pid ${dir}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${dir}/bodies;
  proxy_temp_path ${dir}/answers;
  fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  proxy_cache_path ${dir}/cache keys_zone=llm:10m;
  client_body_buffer_size 1m;
  client_max_body_size 10m;
  # The head of a stored answer contains the key.
  proxy_buffer_size 64k;
  proxy_buffers 8 64k;
  proxy_busy_buffers_size 128k;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${provider};
      proxy_cache llm;
      proxy_cache_methods POST;
      proxy_cache_key "$request_uri $http_authorization $request_body";
      proxy_cache_valid 200 1h;
      proxy_set_header Connection "";
      proxy_http_version 1.1;
      add_header X-Cache $upstream_cache_status;
    }
  }
}
`;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
