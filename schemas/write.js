'use strict';

// Writes the JSON schemas with which an editor completes and checks the gateway's two files:
// `node schemas/write.js`, after tsc has compiled them.

const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { gatewayConfigFile, systemConfigFile } = require('../dist/schemas/editor.js');

const target = join(__dirname, '..', 'dist', 'schemas');

for (const [name, schema] of [
  ['gateway.config.json', gatewayConfigFile],
  ['system.config.json', systemConfigFile],
]) {
  writeFileSync(join(target, name), `${JSON.stringify(schema, null, 2)}\n`);
}
