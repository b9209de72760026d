'use strict';

const express = require('express');
const { createProxyMiddleware } = require('http-proxy-middleware');
const { createLlmCache } = require('express-gateway-plugin-llm-cache/express');

// An Express app in front of a provider: OpenAI, or what UPSTREAM_URL names.

const port = Number(process.env.PORT ?? 8080);
// This machine alone, unless told otherwise.
const host = process.env.HOST ?? '127.0.0.1';
const adminPort = Number(process.env.ADMIN_PORT ?? 9876);
const target = process.env.UPSTREAM_URL ?? 'https://api.openai.com';

const cache = createLlmCache({
  scopeSecret: process.env.LLM_CACHE_SECRET,
  usage: { sinks: [{ type: 'log' }] },
});

const app = express();
// After authentication, which sets `req.user`, and before body parsers.
app.use(cache.llmUsage({ apiEndpoint: 'openai' }), cache.llmCache({ apiEndpoint: 'openai' }));
app.use(createProxyMiddleware({ target, changeOrigin: true }));
const server = app.listen(port, host, () => console.log(`http://${host}:${port} → ${target}`));

// On a port of its own, for this machine only: the admin API is unauthenticated.
const admin = express();
admin.use(cache.adminRoutes);
const adminServer = admin.listen(adminPort, '127.0.0.1', () =>
  console.log(`The dashboard: http://localhost:${adminPort}/llm-cache`),
);

// The plugin leaves signals to the app: usage records that are not written yet go out before it ends.
async function end() {
  for (const one of [server, adminServer]) {
    one.close();
    one.closeAllConnections();
  }
  await cache.close();
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void end());
