import { mostSeconds, mostWaitMs, mostWaitSeconds } from './most.ts';
import { closed, type Schema } from './schema.ts';
import type { SettingsOf } from './settings.ts';

const limitProperties = {
  bufferedBytes: {
    type: 'integer',
    minimum: 1,
    default: 268435456,
    description: 'all bodies held at once, in bytes; past it new requests bypass the cache',
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
    maximum: mostWaitSeconds,
    default: 300,
    description: 'seconds between two times that it is written, beside the end of the process',
  },
} as const;

/** Of the stores in a process's own memory. */
export const eviction = {
  type: 'string',
  enum: ['worth', 'lru'],
  default: 'worth',
  description:
    'what goes when there is no room: what saves least for the bytes that it takes, or what was not used for the longest time',
} as const;

const memoryProperties = {
  maxBytes: {
    type: 'integer',
    minimum: 1024,
    default: 268435456,
    description: 'what all entries together may take, in bytes',
  },
  eviction,
  persist: closed(persistProperties, { required: ['path'] }),
  encryptionKeys: {
    ...encryptionKeys,
    description:
      'keys of 32 bytes in base64: the first encrypts what is written to `persist.path` and exported, all decrypt; without any it is as it is, and signed with `scopeSecret`',
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
    description: 'what every key begins with',
  },
  timeoutMs: {
    type: 'integer',
    minimum: 1,
    maximum: mostWaitMs,
    default: 100,
    description: 'how long a command may take, in milliseconds; past it the cache goes on without',
  },
  encryptionKeys: {
    ...encryptionKeys,
    default: [],
    description:
      'keys of 32 bytes in base64: the first encrypts what is stored, all decrypt; without any, entries are stored as they are',
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
      "the Redis client's own (ioredis): `username`, `password`, `db`, `tls`, `sentinels` and `name`, …; with `cluster`, a list of nodes, the rest is the cluster client's",
  },
} as const;

const tieredProperties = {
  near: {
    type: 'string',
    default: 'memory',
    description: 'the name of a memory store, in whose room the near entries are kept',
  },
  far: { type: 'string', description: 'the name of a redis store' },
  nearTtl: {
    type: 'integer',
    minimum: 1,
    maximum: mostSeconds,
    default: 30,
    description: 'seconds that an entry stays near',
  },
} as const;

/** The kinds of stores, and what each is told. */
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
      "`log` is the gateway's logger, `jsonl` a file with one record a line, `prometheus` divides the metrics of tokens and costs further, `redis` is a stream",
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
      '`prometheus`: what tokens and costs are divided by beside the apiEndpoint; default: `[provider, model]`',
  },
  store: {
    type: 'string',
    minLength: 1,
    description:
      '`redis`: the name of the redis store whose Redis has the stream; may be left out where there is one redis store',
  },
  url: {
    type: 'string',
    minLength: 1,
    description: '`redis`: where Redis is, if it is not that of a store',
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
      '`redis`: records that the stream keeps, roughly; the oldest go first; default: 100000',
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

/** What a sink of that type may be told, and must. */
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
      'where the sums are kept: the name of a memory store for this process, of a redis or tiered store for all gateways that see that Redis',
  },
  retentionDays: {
    type: 'integer',
    minimum: 1,
    maximum: 3660,
    default: 90,
    description: 'days that are kept, today included',
  },
  maxGroups: {
    type: 'integer',
    minimum: 1,
    default: 10000,
    description:
      'groups (day, model, provider, consumer, apiEndpoint) that are kept; past it a day has one more, `other`',
  },
} as const;

const rate = (description: string) => ({ type: 'number', minimum: 0, description }) as const;

const rateProperties = {
  input: rate('input tokens'),
  cachedInput: rate('input tokens that the provider read from its own prompt cache'),
  cacheWrite: rate('input tokens written to that cache'),
  cacheWrite1h: rate('those of them that are kept for an hour'),
  inputAudio: rate('input tokens that are audio'),
  inputImage: rate('input tokens that are images'),
  output: rate('output tokens'),
  reasoning: rate('output tokens spent on reasoning'),
  outputAudio: rate('output tokens that are audio'),
  outputImage: rate('output tokens that are images'),
  citation: rate('tokens of citations'),
  search: rate('searches of a reranker (`search_units`): USD per thousand of them'),
  webSearch: rate('web searches that the provider makes: USD per thousand of them'),
  fileSearch: rate('searches in files that the provider holds: USD per thousand of them'),
  codeExecution: rate('runs of code in its sandbox: USD per thousand of them'),
  imageGeneration: rate('images that a tool of the provider makes: USD per thousand of them'),
} as const;

const budgetProperties = {
  name: {
    type: 'string',
    minLength: 1,
    maxLength: 100,
    description:
      'what it is called in the log, the metrics and the dashboard; default: what it is for',
  },
  consumer: {
    type: 'string',
    minLength: 1,
    description: 'the consumer whose spending counts, by name or id; default: all of them',
  },
  model: {
    type: 'string',
    minLength: 1,
    description: "the model that counts, the answer's or the request's; default: every one",
  },
  apiEndpoint: {
    type: 'string',
    minLength: 1,
    description: 'the apiEndpoint whose requests count; default: every one',
  },
  per: {
    type: 'string',
    enum: ['day', 'month'],
    description: 'the time that it is for, a calendar day or month in UTC',
  },
  usd: { type: 'number', exclusiveMinimum: 0, description: 'USD at list price' },
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
      'USD per million tokens, and per thousand calls of a tool, by model or by the beginning of its name; wins over the built-in list',
  },
  budgets: {
    type: 'array',
    items: closed(budgetProperties, { required: ['per', 'usd'] }),
    maxItems: 100,
    default: [],
    description:
      'what may be billed; one that is nearly spent, or spent, is told in the log, the metrics and the dashboard, and blocks nothing',
  },
} as const;

const adminProperties = {
  recentRequests: {
    type: 'integer',
    minimum: 0,
    maximum: 10000,
    default: 250,
    description:
      'recent requests that the dashboard shows, without what they say: so many that the cache answered, and as many that it did not; 0 keeps none',
  },
  hosts: {
    type: 'array',
    items: {
      type: 'string',
      pattern: '^(\\*\\.)?[^\\s/:@*?#\\[\\]]+$',
      maxLength: 255,
      description: 'a host name, or `*.` and the end of host names, without scheme and port',
    },
    default: [],
    description:
      'host names, without a port, under which the admin routes answer beside IP addresses and `localhost`; `*.` stands for any beginning',
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
    description: 'named stores; `memory` exists even when nothing is said',
  },
  usage: { ...closed(usageProperties), default: {}, description: 'the books' },
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
