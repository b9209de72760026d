'use strict';

// Bundles the page for the browser: `node policies/admin/page/bundle.js`. With `--watch` it rebuilds
// whenever a source file changes.

const { copyFileSync, readFileSync } = require('node:fs');
const { join } = require('node:path');
const process = require('node:process');
const { build, context } = require('esbuild');

const root = join(__dirname, '..', '..', '..');
const target = join(root, 'dist', 'policies', 'admin', 'page');
const make = process.argv.includes('--watch')
  ? async (options) => (await context(options)).watch()
  : build;

/** Packages whose code is bundled; their licences must accompany it. */
const bundled = ['lit-html', 'uplot'];

const licences = bundled
  .map((name) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8')}`)
  .map((text) => `/*\n${text.trim().replaceAll('*/', '* /')}\n*/`)
  .join('\n');

async function main() {
  await make({
    absWorkingDir: root,
    entryPoints: {
      dashboard: join(__dirname, 'main.ts'),
    },
    outdir: target,
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    legalComments: 'eof',
    footer: { js: licences },
    tsconfig: join(__dirname, 'tsconfig.json'),
    logLevel: 'warning',
  });
  await make({
    absWorkingDir: root,
    entryPoints: { dashboard: join(__dirname, 'style.css') },
    outdir: target,
    bundle: true,
    minify: true,
    target: 'es2022',
    footer: { css: licences },
    logLevel: 'warning',
  });
  copyFileSync(join(__dirname, 'index.html'), join(target, 'index.html'));
}

main().catch((error) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
