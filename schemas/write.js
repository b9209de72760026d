'use strict';

// Writes the JSON Schemas with which an editor completes and validates the gateway's two files. Run
// `node schemas/write.js` after tsc.

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
