import type { FromSchema } from 'json-schema-to-ts';
import { closed } from './closed.ts';

const limitProperties = {
  bufferedBytes: {
    type: 'integer',
    minimum: 1,
    default: 268435456,
    description: 'all bodies held at once, in bytes; past it new requests bypass the cache',
  },
} as const;

const storeProperties = {
  type: { type: 'string', enum: ['memory'], description: 'the kind of store' },
  maxBytes: {
    type: 'integer',
    minimum: 1024,
    default: 268435456,
    description: 'what all entries together may take, in bytes; the least recently used go first',
  },
} as const;

const sinkProperties = {
  type: {
    type: 'string',
    enum: ['log', 'jsonl'],
    description: "`log` is the gateway's logger, `jsonl` a file with one record a line",
  },
  path: {
    type: 'string',
    minLength: 1,
    description: "`jsonl`: the file; a relative path starts at the gateway's working directory",
  },
} as const;

const sinkSchema = {
  ...closed(sinkProperties, { required: ['type'] }),
  if: { required: ['type'], properties: { type: { const: 'jsonl' } } },
  then: { required: ['path'] },
  else: { propertyNames: { enum: ['type'] } },
} as const;

const usageProperties = {
  sinks: {
    type: 'array',
    items: sinkSchema,
    default: [{ type: 'log' }],
    description: 'where usage records go',
  },
} as const;

const properties = {
  scopeSecret: {
    type: 'string',
    minLength: 1,
    description:
      "the key of the digests that stand for consumers and credentials; default: the gateway's own `crypto.cipherKey`",
  },
  limits: { ...closed(limitProperties), default: {}, description: 'bounds for the whole process' },
  stores: {
    type: 'object',
    additionalProperties: closed(storeProperties, { required: ['type'] }),
    default: {},
    description: 'named stores; `memory` exists even when nothing is said',
  },
  usage: { ...closed(usageProperties), default: {}, description: 'the books' },
} as const;

/** The plugin's settings in `system.config.yml`. */
export const pluginSchema = {
  $id: 'http://express-gateway.io/schemas/plugins/llm-cache.json',
  // The gateway keeps its own `package` among the settings.
  ...closed(properties, { allowed: ['package'] }),
} as const;

export type StoreSettings = FromSchema<{
  readonly type: 'object';
  readonly properties: typeof storeProperties;
  readonly required: readonly ['type'];
  readonly additionalProperties: false;
}>;

export type SinkSettings = FromSchema<{
  readonly type: 'object';
  readonly properties: typeof sinkProperties;
  readonly required: readonly ['type'];
  readonly additionalProperties: false;
}>;

export interface PluginSettings {
  readonly scopeSecret?: string;
  readonly limits: { readonly bufferedBytes: number };
  readonly stores: Readonly<Record<string, StoreSettings>>;
  readonly usage: { readonly sinks: readonly SinkSettings[] };
}
