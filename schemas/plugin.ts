import { maxSeconds, maxTimerMs, maxTimerSeconds } from './limits.ts';
import { closed, type Schema } from './schema.ts';
import type { SettingsOf } from './settings.ts';

const limitProperties = {
  bufferedBytes: {
    type: 'integer',
    minimum: 1,
    default: 268435456,
    description:
      'how many bytes of bodies may be held at once; beyond that, new requests bypass the cache',
  },
} as const;

const encryptionKeys = {
  type: 'array',
  items: {
    type: 'string',
    pattern: '^[A-Za-z0-9+/]{43}=$',
    description: 'a key of 32 bytes in base64, as `openssl rand -base64 32` makes one',
  },
} as const;

const persistProperties = {
  path: {
    type: 'string',
    minLength: 1,
    description:
      "the file that keeps the entries over a restart; a relative path starts at the gateway's working directory",
  },
  everySeconds: {
    type: 'integer',
    minimum: 1,
    maximum: maxTimerSeconds,
    default: 300,
    description: 'how often it is written, in seconds; it is also written when the process ends',
  },
} as const;

/** A setting of the stores in a process's own memory. */
export const eviction = {
  type: 'string',
  enum: ['worth', 'lru'],
  default: 'worth',
  description:
    'what is evicted when the store is full: the entries that save least for the bytes they take, or the least recently used',
} as const;

const memoryProperties = {
  maxBytes: {
    type: 'integer',
    minimum: 1024,
    default: 268435456,
    description: 'how many bytes all entries together may take',
  },
  eviction,
  persist: closed(persistProperties, { required: ['path'] }),
  encryptionKeys: {
    ...encryptionKeys,
    description:
      'keys of 32 bytes in base64: the first encrypts what is written to `persist.path` and exported, all of them decrypt; without any, it is only signed, with `scopeSecret`',
  },
} as const;

const redisProperties = {
  url: {
    type: 'string',
    minLength: 1,
    description: 'where Redis is; default: what the gateway itself uses, its `db.redis`',
  },
  keyPrefix: {
    type: 'string',
    minLength: 1,
    default: 'llm-cache:',
    description: 'the beginning of every key',
  },
  timeoutMs: {
    type: 'integer',
    minimum: 1,
    maximum: maxTimerMs,
    default: 100,
    description:
      'how long a command may take, in milliseconds; after that the request goes on without it',
  },
  encryptionKeys: {
    ...encryptionKeys,
    default: [],
    description:
      'keys of 32 bytes in base64: the first encrypts what is stored, all of them decrypt; without any, entries are signed and not encrypted',
  },
  coalesceAcross: {
    type: 'boolean',
    default: true,
    description: 'identical requests on several gateways share one upstream call',
  },
  options: {
    type: 'object',
    default: {},
    description:
      'options of the Redis client (ioredis): `username`, `password`, `db`, `tls`, `sentinels` and `name`, …; with `cluster`, a list of nodes, they are those of its cluster client',
  },
} as const;

const tieredProperties = {
  near: {
    type: 'string',
    default: 'memory',
    description: 'the name of the memory store that holds the near entries',
  },
  far: { type: 'string', description: 'the name of a redis store' },
  nearTtl: {
    type: 'integer',
    minimum: 1,
    maximum: maxSeconds,
    default: 30,
    description: 'how long an entry stays near, in seconds',
  },
} as const;

/** The settings of each kind of store. */
export const storeKinds = {
  memory: memoryProperties,
  redis: redisProperties,
  tiered: tieredProperties,
} as const;

const storeType = {
  type: 'string',
  enum: ['memory', 'redis', 'tiered'],
  description: 'the kind of store',
} as const;

const storeSchema = {
  type: 'object',
  properties: { type: storeType },
  required: ['type'],
  allOf: [
    storeOf('memory', memoryProperties),
    storeOf('redis', redisProperties),
    storeOf('tiered', tieredProperties, ['far']),
  ],
};

function storeOf(
  type: string,
  own: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): object {
  return {
    if: { required: ['type'], properties: { type: { const: type } } },
    then: closed({ type: storeType, ...own }, { required }),
  };
}

const sinkProperties = {
  type: {
    type: 'string',
    enum: ['log', 'jsonl', 'prometheus', 'redis'],
    description:
      "`log` is the gateway's logger, `jsonl` a file with one record per line, `prometheus` adds labels to the metrics of tokens and costs, `redis` is a stream",
  },
  path: {
    type: 'string',
    minLength: 1,
    description: "`jsonl`: the file; a relative path starts at the gateway's working directory",
  },
  labels: {
    type: 'array',
    items: { type: 'string', enum: ['provider', 'model', 'requested_model', 'consumer_id'] },
    uniqueItems: true,
    description:
      '`prometheus`: the labels of tokens and costs besides the apiEndpoint; default: `[provider, model]`',
  },
  store: {
    type: 'string',
    minLength: 1,
    description:
      '`redis`: the name of the redis store whose Redis has the stream; optional when there is only one redis store',
  },
  url: {
    type: 'string',
    minLength: 1,
    description: '`redis`: the url of the Redis, if it is not that of a store',
  },
  stream: {
    type: 'string',
    minLength: 1,
    description: '`redis`: the key of the stream; default: `llm-cache:usage`',
  },
  maxLength: {
    type: 'integer',
    minimum: 1,
    description:
      '`redis`: roughly how many records the stream keeps, the newest ones; default: 100000',
  },
} as const;

const sinkSchema = {
  ...closed(sinkProperties, { required: ['type'] }),
  allOf: [
    sinkOf('log', []),
    sinkOf('jsonl', ['path'], ['path']),
    sinkOf('prometheus', ['labels']),
    sinkOf('redis', ['store', 'url', 'stream', 'maxLength']),
  ],
};

/** Returns the schema of a sink type: the settings that it allows and those that it requires. */
function sinkOf(type: string, own: readonly string[], required: readonly string[] = []): object {
  return {
    if: { required: ['type'], properties: { type: { const: type } } },
    then: { required, propertyNames: { enum: ['type', ...own] } },
  };
}

const ledgerProperties = {
  store: {
    type: 'string',
    default: 'memory',
    description:
      'where the sums are kept: the name of a memory store (for this process), or of a redis or tiered store (for all gateways that share that Redis)',
  },
  retentionDays: {
    type: 'integer',
    minimum: 1,
    maximum: 3660,
    default: 90,
    description: 'how many days are kept, today included',
  },
  maxGroups: {
    type: 'integer',
    minimum: 1,
    default: 10000,
    description:
      'how many groups (day, model, provider, consumer, apiEndpoint) are kept; beyond that a day has one more, `other`',
  },
} as const;

const rate = (description: string) => ({ type: 'number', minimum: 0, description }) as const;

const rateProperties = {
  input: rate('USD per million input tokens'),
  cachedInput: rate(
    'USD per million input tokens that the provider read from its own prompt cache',
  ),
  cacheWrite: rate('USD per million input tokens written to that cache'),
  cacheWrite1h: rate('USD per million input tokens written to that cache for an hour'),
  inputAudio: rate('USD per million input tokens that are audio'),
  inputImage: rate('USD per million input tokens that are images'),
  output: rate('USD per million output tokens'),
  reasoning: rate('USD per million output tokens spent on reasoning'),
  outputAudio: rate('USD per million output tokens that are audio'),
  outputImage: rate('USD per million output tokens that are images'),
  citation: rate('USD per million citation tokens'),
  search: rate('USD per thousand searches of a reranker (`search_units`)'),
  webSearch: rate('USD per thousand web searches that the provider makes'),
  fileSearch: rate('USD per thousand searches in files that the provider holds'),
  codeExecution: rate('USD per thousand runs of code in its sandbox'),
  imageGeneration: rate('USD per thousand images that a tool of the provider makes'),
} as const;

const budgetProperties = {
  name: {
    type: 'string',
    minLength: 1,
    maxLength: 100,
    description:
      'its name in the log, the metrics and the dashboard; default: what it is for, in words',
  },
  consumer: {
    type: 'string',
    minLength: 1,
    description: 'the consumer whose spending counts, by name or id; default: all consumers',
  },
  model: {
    type: 'string',
    minLength: 1,
    description: "the model that counts, the answer's or the request's; default: all models",
  },
  apiEndpoint: {
    type: 'string',
    minLength: 1,
    description: 'the apiEndpoint whose requests count; default: all apiEndpoints',
  },
  per: {
    type: 'string',
    enum: ['day', 'month'],
    description: 'its period, a calendar day or month in UTC',
  },
  usd: { type: 'number', exclusiveMinimum: 0, description: 'its amount, in USD at list price' },
} as const;

const usageProperties = {
  ledger: {
    ...closed(ledgerProperties),
    default: {},
    description: 'the sums that the admin API and the dashboard show',
  },
  sinks: {
    type: 'array',
    items: sinkSchema,
    default: [{ type: 'log' }],
    description: 'where usage records go',
  },
  prices: {
    type: 'object',
    additionalProperties: closed(rateProperties, { required: ['input'] }),
    default: {},
    description:
      'USD per million tokens, and per thousand calls of a tool, by model name or prefix; they take precedence over the built-in list',
  },
  budgets: {
    type: 'array',
    items: closed(budgetProperties, { required: ['per', 'usd'] }),
    maxItems: 100,
    default: [],
    description:
      'what may be billed; the log, the metrics and the dashboard say when one is nearly spent or spent, and nothing is blocked',
  },
} as const;

const adminProperties = {
  recentRequests: {
    type: 'integer',
    minimum: 0,
    maximum: 10000,
    default: 250,
    description:
      'how many recent requests are kept for the dashboard, without their content: this many that the cache answered, and as many that it did not; 0 keeps none',
  },
  hosts: {
    type: 'array',
    items: {
      type: 'string',
      pattern: '^(\\*\\.)?[^\\s/:@*?#\\[\\]]+$',
      maxLength: 255,
      description: 'a host name, or `*.` and a suffix, without scheme and port',
    },
    default: [],
    description:
      'host names, without a port, under which the admin routes answer, besides IP addresses and `localhost`; `*.` matches any prefix',
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
    additionalProperties: storeSchema,
    default: {},
    description: 'stores by name; `memory` exists even when none is configured',
  },
  usage: {
    ...closed(usageProperties),
    default: {},
    description: 'usage records, prices, sums and budgets',
  },
  admin: {
    ...closed(adminProperties),
    default: {},
    description: 'the admin API and the dashboard',
  },
} as const;

/** The plugin's settings in `system.config.yml`. */
export const pluginSchema = {
  $id: 'http://express-gateway.io/schemas/plugins/llm-cache.json',
  // The gateway keeps its own `package` among the settings.
  ...closed(properties, { allowed: ['package'] }),
} as const;

export type MemorySettings = {
  readonly type: 'memory';
  readonly persist?: SettingsOf<typeof persistProperties, 'path'>;
  readonly encryptionKeys?: readonly string[];
} & SettingsOf<Pick<typeof memoryProperties, 'maxBytes' | 'eviction'>>;
export type RedisSettings = { readonly type: 'redis' } & SettingsOf<typeof redisProperties>;
export type TieredSettings = { readonly type: 'tiered' } & SettingsOf<
  typeof tieredProperties,
  'far'
>;
export type StoreSettings = MemorySettings | RedisSettings | TieredSettings;

export type SinkSettings = SettingsOf<typeof sinkProperties, 'type'>;

export type BudgetSettings = SettingsOf<typeof budgetProperties, 'per' | 'usd'>;
export type LedgerSettings = SettingsOf<typeof ledgerProperties>;
export type RateSettings = SettingsOf<typeof rateProperties>;

export interface PluginSettings {
  readonly scopeSecret?: string;
  readonly limits: { readonly bufferedBytes: number };
  readonly stores: Readonly<Record<string, StoreSettings>>;
  readonly usage: {
    readonly ledger: LedgerSettings;
    readonly sinks: readonly SinkSettings[];
    readonly prices: Readonly<Record<string, RateSettings>>;
    readonly budgets: readonly BudgetSettings[];
  };
  readonly admin: SettingsOf<typeof adminProperties>;
}
