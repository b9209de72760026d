import type { Schema } from './schema.ts';
import { closed } from './schema.ts';
import { llmCacheSchema, type LlmCacheSettings } from './llm-cache.ts';
import { llmUsageSchema } from './llm-usage.ts';
import { eviction, pluginSchema, type RateSettings } from './plugin.ts';

const {
  store: _store,
  // The caller in this process may read the body, and nothing would decode it there.
  compressHits: _compressHits,
  namespace,
  ...cacheProperties
} = llmCacheSchema.properties;

/** The options that the `llm-cache` policy lacks or describes differently. */
export const ownProperties = {
  namespace: {
    ...namespace,
    description: 'separates handlers that share a store; also the `api_endpoint` of the records',
  },
  provider: llmUsageSchema.properties.provider,
  prices: pluginSchema.properties.usage.properties.prices,
  scopeSecret: {
    type: 'string',
    minLength: 1,
    description:
      'the key of the digests that stand for consumers and credentials; default: a random one, so set it when several processes share a `store`',
  },
  maxBytes: {
    type: 'integer',
    minimum: 1024,
    default: 67108864,
    description: 'how many bytes all entries of the default store may take',
  },
  eviction,
  bufferedBytes: {
    type: 'integer',
    minimum: 1,
    default: 67108864,
    description:
      'how many bytes of bodies may be held at once; beyond that, new requests bypass the cache',
  },
} as const;

/** The options that are functions, or objects with functions, which a schema cannot validate. */
export const liveOptions = {
  store: 'where entries are kept; default: a `MapStore` in this process',
  record:
    'called with the usage record of every request on a path that the cache serves, cache hits included',
  consumer:
    'returns who asks, an id or an object with one; called with the handler’s arguments, and may be asynchronous',
  waitUntil:
    'keeps the platform from ending before answers are stored and records are written; default: `waitUntil` of the handler’s own arguments',
} as const;

/** The options of `withLlmCache` that are data. */
export const fetchSchema: Schema & { readonly $id: string } = {
  $id: 'http://express-gateway.io/schemas/llm-cache/fetch.json',
  ...closed({ ...cacheProperties, ...ownProperties }, { allowed: Object.keys(liveOptions) }),
};

/** The options after every default is filled in. */
export interface FetchSettings extends Omit<LlmCacheSettings, 'store' | 'compressHits'> {
  readonly provider?: string;
  readonly prices: Readonly<Record<string, RateSettings>>;
  readonly scopeSecret?: string;
  readonly maxBytes: number;
  readonly eviction: 'worth' | 'lru';
  readonly bufferedBytes: number;
}
