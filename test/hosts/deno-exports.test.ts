import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';

const run = promisify(execFile);

interface Configuration {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
}

const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Configuration;

describe('deno.json', function () {
  this.timeout(30_000);

  it('The deno.json exports match package.json, have its version, and resolve', async () => {
    const [deno, node] = [read('deno.json'), read('package.json')];
    const own = Object.keys(node.exports).filter((name) => name !== './package.json');
    expect([Object.keys(deno.exports), deno.version]).to.deep.equal([own, node.version]);
    const specifiers = own.map((name) => deno.name + name.slice(1));
    const script = `for (const name of ${JSON.stringify(specifiers)}) {
      console.log(Object.keys(await import(name)).join());
    }
    Deno.exit(0);`;
    const binary = resolve('node_modules/.bin/deno');
    const { stdout } = await run(binary, ['eval', '--ext=mjs', script]);
    expect(stdout.trim().split('\n')).to.deep.equal([
      'init',
      'ConfigurationError,createLlmCache,llmCache,llmUsage',
      'ConfigurationError,MapStore,withLlmCache',
    ]);
  });
});
