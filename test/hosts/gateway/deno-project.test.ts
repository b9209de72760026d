import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { codeBlocks, documents } from '../../support/documents.ts';
import { eventually } from '../../support/eventually.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

const template = 'node_modules/express-gateway/bin/generators/gateway/templates/basic';

/** What `eg gateway create` makes, with the plugin installed and configured. */
function stockProject(upstreamUrl: string, packageMembers: object): string {
  const dir = mkdtempSync(join(tmpdir(), 'llm-cache-project-'));
  cpSync(template, dir, { recursive: true });
  cpSync('node_modules/express-gateway/lib/config/models', join(dir, 'config/models'), {
    recursive: true,
  });
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(resolve('node_modules/express-gateway'), join(dir, 'node_modules/express-gateway'));
  symlinkSync(resolve('.'), join(dir, 'node_modules/express-gateway-plugin-llm-cache'));

  const made = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as object;
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ ...made, ...packageMembers }));
  appendFileSync(join(dir, 'config/system.config.yml'), '\nplugins:\n  llm-cache: {}\n');
  const ports = { http: { port: 0 }, admin: { port: 0, host: '127.0.0.1' } };
  const pipelines = gatewayConfig(upstreamUrl, { api: both() });
  writeFileSync(join(dir, 'config/gateway.config.yml'), JSON.stringify({ ...ports, ...pipelines }));
  return dir;
}

/** The arguments of the command that the document gives. */
function documentedCommand(): string[] {
  const command = codeBlocks(documents().get('docs/deno.md') ?? '', 'sh')
    .flatMap((block) => block.split('\n'))
    .find((line) => line.startsWith('deno run '));
  if (command === undefined) throw new Error('docs/deno.md has no command');
  return command.split(' ').slice(1);
}

describe('A project of eg gateway create under Deno', function () {
  this.timeout(60_000);
  let upstream: Upstream;
  before(async () => {
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
  });
  after(() => upstream.close());

  /** Runs `use` beside the project as the document starts it; returns its exit code and output. */
  async function run(
    packageMembers: object,
    use: (log: () => string, isOver: () => boolean) => Promise<void>,
  ): Promise<{ code: number | null; log: string }> {
    const dir = stockProject(upstream.url, packageMembers);
    let log = '';
    const child = spawn(resolve('node_modules/.bin/deno'), documentedCommand(), {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, EG_DISABLE_CONFIG_WATCH: 'true', NO_COLOR: '1' },
    });
    child.stdout.on('data', (text) => (log += text));
    child.stderr.on('data', (text) => (log += text));
    const closed = new Promise<number | null>((done) => child.on('close', done));
    try {
      await use(
        () => log,
        () => child.exitCode !== null,
      );
    } catch (error) {
      throw new Error(`the project said:\n${log}`, { cause: error });
    } finally {
      child.kill('SIGKILL');
      await closed;
      rmSync(dir, { recursive: true, force: true });
    }
    return { code: child.exitCode, log };
  }

  it('A generated gateway project serves hits under Deno once its package.json says it is CommonJS', async () => {
    await run({ type: 'commonjs' }, async (log) => {
      const port = () => /gateway http server listening on \S*:(\d+)/.exec(log())?.[1];
      await eventually(() => port() !== undefined, 'the gateway listens', 30_000);
      const ask = () =>
        post(`http://127.0.0.1:${port()}/api/v1/chat/completions`, { model: 'm', messages: [] });
      expect((await ask()).headers['cache-status']).to.equal('llm-cache; fwd=miss');
      await eventually(() => log().includes('llm-usage {'), 'a usage record');
      expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
    });
  });

  it('A generated gateway project does not start under Deno unchanged, and Deno names what is missing', async () => {
    const { code, log } = await run({}, (_log, isOver) =>
      eventually(isOver, 'Deno gives up', 30_000),
    );
    expect(code).to.equal(1);
    expect(log).to.contain('require is not defined').and.to.contain('"type": "commonjs"');
  });
});
