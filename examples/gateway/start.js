'use strict';

const path = require('node:path');
const { complaintsAbout } = require('./ports');
const { tryout } = require('./tryout');
const { startUpstream } = require('./upstream');

// Starts the demo: a provider, the gateway with the plugin, and a consumer who may use it.

process.env.EG_CONFIG_DIR = path.join(__dirname, 'config');

// Beside this file, wherever the demo was started from.
process.env.USAGE_FILE ||= path.join(__dirname, 'usage.jsonl');

// The gateway would send even its calls to this machine through a proxy.
delete process.env.http_proxy;
delete process.env.HTTP_PROXY;

const consumer = { username: 'demo', firstname: 'Demo', lastname: 'Consumer' };
const credential = { keyId: 'demo', keySecret: 'secret' };
const tokenMs = Number(process.env.UPSTREAM_TOKEN_MS ?? 40);

async function main() {
  for (const variable of ['EG_HTTP_PORT', 'EG_ADMIN_PORT', 'UPSTREAM_PORT']) {
    const given = process.env[variable];
    if (given !== undefined && !(/^\d+$/.test(given) && given >= 1 && given <= 65535)) {
      throw new Error(`${variable} must be a port from 1 to 65535, not "${given}"`);
    }
  }
  // The gateway only says that it cannot find a plugin that cannot be loaded; this says why.
  require('express-gateway-plugin-llm-cache');

  const { http, admin, serviceEndpoints } = require('express-gateway/lib/config').gatewayConfig;
  const upstreamPort = Number(new URL(serviceEndpoints.openai.url).port);
  const taken = await complaintsAbout([
    { what: 'the gateway', variable: 'EG_HTTP_PORT', port: http.port, host: http.hostname },
    { what: "the gateway's admin API", variable: 'EG_ADMIN_PORT', ...admin },
    { what: 'the provider', variable: 'UPSTREAM_PORT', port: upstreamPort, host: '127.0.0.1' },
  ]);
  if (taken.length > 0) throw new Error(taken.join('\n'));

  await startUpstream({ port: upstreamPort, tokenMs });
  await require('express-gateway')().load(process.env.EG_CONFIG_DIR).run();
  await createConsumer(`http://${admin.host}:${admin.port}`);

  console.log(
    tryout({
      httpPort: http.port,
      adminPort: admin.port,
      upstreamPort,
      tokenMs,
      key: `${credential.keyId}:${credential.keySecret}`,
      usageFile: path.resolve(process.env.USAGE_FILE),
    }),
  );
}

/** What `eg users create` and `eg credentials create` do. */
async function createConsumer(adminUrl) {
  const create = async (what, body) => {
    const res = await fetch(`${adminUrl}/${what}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!res.ok) throw new Error(`The admin API created no ${what}: ${await res.text()}`);
    return res.json();
  };
  const { id: consumerId } = await create('users', consumer);
  await create('credentials', { consumerId, type: 'key-auth', credential });
}

// With a handler of our own the exit is ours too; the plugin writes its last records on `exit`.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
