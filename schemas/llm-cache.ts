import { maxSeconds, maxTimerMs } from './limits.ts';
import { closed } from './schema.ts';
import type { SettingsOf } from './settings.ts';

/** The request headers that steer the cache. */
export const controlHeaders = [
  'cache-control',
  'x-cache-control',
  'x-cache-ttl',
  'x-cache-type',
  'x-cache-namespace',
] as const;

const properties = {
  store: {
    type: 'string',
    default: 'memory',
    description: 'a store named in `system.config.yml`',
  },
  ttl: {
    type: 'integer',
    minimum: 1,
    maximum: maxSeconds,
    default: 3600,
    description: 'seconds an entry is fresh',
  },
  namespace: {
    type: 'string',
    minLength: 1,
    maxLength: 256,
    description:
      "separates pipelines that share a store; default: the apiEndpoint's name (the path that the client sent is in the key as well)",
  },
  scope: {
    type: 'string',
    enum: ['auto', 'consumer', 'credential', 'shared'],
    default: 'auto',
    description: 'who may share an entry',
  },
  credentialHeaders: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [
      'authorization',
      'x-api-key',
      'api-key',
      'x-goog-api-key',
      'ocp-apim-subscription-key',
      'proxy-authorization',
      'cookie',
    ],
    description:
      'what counts as a credential; under `scope: auto`, so does every header whose name suggests an identity',
  },
  varyHeaders: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [
      'anthropic-version',
      'anthropic-beta',
      'openai-beta',
      'openai-organization',
      'openai-project',
    ],
    description:
      'request headers that are part of the key, in addition to those that route a request (`x-portkey-*`, `x-forwarded-host`, …)',
  },
  ignoreHeaders: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [],
    description:
      'request headers that count neither as an identity nor for the key, whatever their names suggest (`session_id`, `x-portkey-*`, …)',
  },
  ignoreFields: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [],
    description: 'top-level body members left out of the key (`user`, `metadata`, …)',
  },
  maxRequestBytes: {
    type: 'integer',
    minimum: 1,
    default: 10485760,
    description: 'a larger request is streamed past the cache and not buffered',
  },
  maxResponseBytes: {
    type: 'integer',
    minimum: 1,
    default: 8388608,
    description: 'a larger response (decoded) is delivered and not stored',
  },
  mode: {
    type: 'string',
    enum: ['all', 'opt-in'],
    default: 'all',
    description:
      'which requests take part: all of them, or only those that send `X-Cache-Control: cache`',
  },
  clientControls: {
    type: 'boolean',
    default: true,
    description: 'whether request headers may steer the cache',
  },
  allowedControls: {
    type: 'array',
    items: { type: 'string', enum: controlHeaders },
    default: controlHeaders,
    description: 'with `clientControls`: the request headers that may steer it',
  },
  maxTtl: {
    type: 'integer',
    minimum: 1,
    maximum: maxSeconds,
    default: 86400,
    description: 'the ceiling for a TTL that a client asks for, in seconds',
  },
  coalesce: {
    type: 'boolean',
    default: true,
    description: 'identical concurrent requests share one upstream call',
  },
  coalesceWaitMs: {
    type: 'integer',
    minimum: 1,
    maximum: maxTimerMs,
    default: 15000,
    description:
      'a joined request that has received no byte for this long calls the provider itself, in milliseconds',
  },
  perItem: {
    type: 'boolean',
    default: false,
    description:
      'embeddings of a list of inputs are stored one by one, and the provider is asked only for those that are not stored',
  },
  staleIfError: {
    type: 'integer',
    minimum: 0,
    maximum: maxSeconds,
    default: 0,
    description:
      'seconds past `ttl` during which an expired entry may answer when the upstream fails',
  },
  finishOnDisconnect: {
    type: 'boolean',
    default: false,
    description: 'a call whose last client has left runs to its end, and its answer is stored',
  },
  compressHits: {
    type: 'string',
    enum: ['auto', 'off'],
    default: 'auto',
    description:
      'whether a hit whose body is stored compressed is sent so (`Content-Encoding: gzip`) to a client that accepts it',
  },
  statusHeader: {
    type: 'string',
    enum: ['hits', 'always'],
    default: 'hits',
    description:
      'when a response has `X-Cache`: only when the cache answers, or always (then also `MISS` and `BYPASS`)',
  },
  debugHeaders: {
    type: 'boolean',
    default: false,
    description: 'adds `X-Cache-Key`',
  },
} as const;

/** The action of the `llm-cache` policy. */
export const llmCacheSchema = {
  $id: 'http://express-gateway.io/schemas/policies/llm-cache.json',
  // The gateway copies getCommonAuthCallback onto every action.
  ...closed(properties, { allowed: ['getCommonAuthCallback'] }),
} as const;

export type LlmCacheSettings = SettingsOf<typeof properties>;

/** Returns why a step is useless although each of its parameters is valid; null if it is not. */
export function contradictionIn(
  settings: Pick<LlmCacheSettings, 'mode' | 'clientControls' | 'allowedControls'>,
): string | null {
  if (settings.mode !== 'opt-in') return null;
  const mayOptIn = settings.clientControls && settings.allowedControls.includes('x-cache-control');
  if (mayOptIn) return null;
  return '"mode": opt-in lets no request take part if clients may not send `X-Cache-Control: cache`; set "clientControls" to true, with x-cache-control in "allowedControls"';
}
