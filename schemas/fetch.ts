import type { Schema } from './schema.ts';
import { closed } from './schema.ts';
import { llmCacheSchema, type LlmCacheSettings } from './llm-cache.ts';
import { llmUsageSchema } from './llm-usage.ts';
import { eviction, pluginSchema, type RateSettings } from './plugin.ts';

const {
  store: _store,
  // What a handler answers may be read in this process, where nothing decodes it.
  compressHits: _compressHits,
  namespace,
  ...cacheProperties
} = llmCacheSchema.properties;

/** What `llm-cache` has not, or calls something else. */
export const ownProperties = {
  namespace: {
    ...namespace,
    description: 'the `api_endpoint` of the records; separates handlers that share a store',
  },
  provider: llmUsageSchema.properties.provider,
  prices: pluginSchema.properties.usage.properties.prices,
  scopeSecret: {
    type: 'string',
    minLength: 1,
    description:
      'the key of the digests that stand for consumers and credentials; default: one of this process, so give one where several share a `store`',
  },
  maxBytes: {
    type: 'integer',
    minimum: 1024,
    default: 67108864,
    description: 'what all entries of the default store may take, in bytes',
  },
  eviction,
  bufferedBytes: {
    type: 'integer',
    minimum: 1,
    default: 67108864,
    description: 'all bodies held at once, in bytes; past it new requests bypass the cache',
  },
} as const;

/** The options that are functions or objects with some, and so not this schema's to judge. */
export const liveOptions = {
  store: 'where entries are kept, a `Store`; default: a `MapStore` in this process',
  record:
    'is given the usage record of every request on a path that the cache serves, cache hits included',
  consumer:
    'is called with what the handler is called with: who asks, an id or an object with one; may be asynchronous',
  waitUntil:
    'keeps the platform from ending before what is stored and recorded is; default: `waitUntil` of the handler’s own arguments',
} as const;

/** The options of `withLlmCache` that are data. */
export const fetchSchema: Schema & { readonly $id: string } = {
  $id: 'http://express-gateway.io/schemas/llm-cache/fetch.json',
  ...closed({ ...cacheProperties, ...ownProperties }, { allowed: Object.keys(liveOptions) }),
};

/** What the options say when every default is filled in. */
export interface FetchSettings extends Omit<LlmCacheSettings, 'store' | 'compressHits'> {
  readonly provider?: string;
  readonly prices: Readonly<Record<string, RateSettings>>;
  readonly scopeSecret?: string;
  readonly maxBytes: number;
  readonly eviction: 'worth' | 'lru';
  readonly bufferedBytes: number;
}
