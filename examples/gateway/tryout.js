'use strict';

const ask = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'What is a cache for?' }] };

/** What to try, as lines for a shell. They start at its margin, or its history would forget them. */
function tryout({ httpPort, adminPort, upstreamPort, tokenMs, key, usageFile }) {
  const curl = (flags, path, body, header = '') =>
    `curl ${flags} http://localhost:${httpPort}${path}${header} -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;

  return `
The gateway listens on port ${httpPort}, its admin API on ${adminPort}. The provider behind it, on ${upstreamPort}, takes ${tokenMs} ms a token.
Run each of these lines twice, in another shell.

JSON:

${curl('-i', '/v1/chat/completions', ask)}

A stream:

${curl('-iN', '/v1/chat/completions', { ...ask, stream: true, stream_options: { include_usage: true } })}

A consumer of the gateway, behind key-auth and rate-limit, with answers of its own:

${curl('-i', '/team/v1/chat/completions', ask, ` -H 'Authorization: apiKey ${key}'`)}

The first time takes as long as the provider does. The second time it answers at once, the same to the last byte (the id too), with

  X-Cache: HIT (exact)
  Cache-Status: llm-cache; hit; ttl=…
  Age: …

and in this log with a usage record that has "cache_type":"exact" and "billed":false, but without another [upstream] line: the provider was not asked.
The usage records are in ${usageFile} as well.

The warnings above are meant for a gateway like yours: this demo lets everyone on this machine in without a key. With key-auth, as for /team, or with scope: credential there are none.

What was saved, and why a request missed, is on the dashboard: http://localhost:${adminPort}/llm-cache

Ctrl+C ends it all.
`;
}

module.exports = { tryout };
