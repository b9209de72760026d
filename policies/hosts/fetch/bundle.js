'use strict';

// Bundles `./fetch` as one ES module, for hosts without `require` (workers, bundlers). Run it with
// `node policies/hosts/fetch/bundle.js`, after tsc has written the declarations.

const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const process = require('node:process');
const { build } = require('esbuild');

const root = join(__dirname, '..', '..', '..');
const target = join(root, 'dist', 'fetch.mjs');

async function main() {
  await build({
    absWorkingDir: root,
    entryPoints: [join(root, 'policies', 'hosts', 'fetch', 'index.ts')],
    outfile: target,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    logLevel: 'warning',
  });
  // TypeScript reads a `.d.mts` file as the declaration of an ES module.
  writeFileSync(
    target.replace('.mjs', '.d.mts'),
    "export * from './policies/hosts/fetch/index.js';\n",
  );
}

main().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
