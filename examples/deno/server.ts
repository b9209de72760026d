/// <reference lib="deno.ns" />
import { withLlmCache } from 'express-gateway-plugin-llm-cache/fetch';

// A proxy that caches, in front of OpenAI, or of what UPSTREAM_URL names.

const upstream = Deno.env.get('UPSTREAM_URL') ?? 'https://api.openai.com';
const port = Number(Deno.env.get('PORT') ?? 8080);

function proxy(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  return fetch(new Request(new URL(pathname + search, upstream), request));
}

const cached = withLlmCache(proxy, {
  ttl: 3600,
  scopeSecret: Deno.env.get('LLM_CACHE_SECRET'),
  record: (record) => console.log(JSON.stringify(record)),
});

// This machine alone, unless told otherwise.
Deno.serve({ port, hostname: Deno.env.get('HOST') ?? '127.0.0.1' }, cached);
