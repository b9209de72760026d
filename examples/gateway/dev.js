'use strict';

const { spawn } = require('node:child_process');
const { join } = require('node:path');

// The demo, built and started anew whenever a source changes. The gateway itself sees changes of
// its configuration. Ctrl+C ends all of it.

const root = join(__dirname, '..', '..');
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const run = (...args) => spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });

const children = [
  run(tsc, '-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput'),
  run(join(root, 'policies', 'admin', 'page', 'bundle.js'), '--watch'),
  run('--watch-path=dist', '--watch-path=examples/gateway/upstream', join(__dirname, 'start.js')),
];
const end = () => {
  for (const child of children) child.kill();
};
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end);
