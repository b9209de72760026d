import { check } from '../../../schemas/validate-portable.ts';
import { fetchSchema, type FetchSettings } from '../../../schemas/fetch.ts';
import { contradictionIn, type LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import type { RateSettings } from '../../../schemas/plugin.ts';
import { ConfigurationError } from '../../../schemas/configuration-error.ts';
import type { EntryStore } from '../../llm-cache/stores/store.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';

/** Parameters of the `llm-cache` action, and settings that a gateway has elsewhere. */
export interface LlmCacheOptions<
  Rest extends readonly unknown[] = readonly unknown[],
> extends Partial<Omit<LlmCacheSettings, 'store'>> {
  /** The store of the entries. Default: this process's memory. */
  readonly store?: EntryStore;
  /** The size of the default store, in bytes. Default: 64 MiB. */
  readonly maxBytes?: number;
  /**
   * What a full default store evicts: the entry that saves least for its size, or the least
   * recently used. Default: `worth`.
   */
  readonly eviction?: 'worth' | 'lru';
  /** The limit for all bodies held, in bytes. Beyond it, requests bypass. Default: 64 MiB. */
  readonly bufferedBytes?: number;
  /** The key for the digests of consumers and credentials. Default: a random one. */
  readonly scopeSecret?: string;
  /**
   * Returns the consumer that the platform or the application authenticated: an id or an object. An
   * object is identified by its `id` or `sub` and the issuer and tenants that it names, or by all of
   * its content if it has neither `id` nor `sub`. It is called with the handler's arguments. If it
   * fails, or a consumer cannot be told from others for certain, the request bypasses the cache.
   */
  readonly consumer?: (request: Request, ...rest: Rest) => unknown;
  /** Receives the usage record of every request that the cache serves, cache hits included. */
  readonly record?: (record: UsageRecord) => void | Promise<void>;
  /** The provider's name in the records. Default: by protocol. */
  readonly provider?: string;
  /** USD per million tokens, by model or by a prefix of its name. Overrides the built-in list. */
  readonly prices?: Readonly<Record<string, RateSettings>>;
  /** Keeps the platform running until the promise settles. Default: the platform's `waitUntil`. */
  readonly waitUntil?: (promise: Promise<unknown>) => void;
}

/** Throws a ConfigurationError if the handler is not a function. */
export function requireHandler(handler: unknown): void {
  if (typeof handler === 'function') return;
  throw wrong(`the handler must be a function, got ${typeof handler}`);
}

/** Validates the options and adds the defaults. Throws a ConfigurationError that says what is wrong. */
export function readOptions<Rest extends readonly unknown[]>(
  options: LlmCacheOptions<Rest>,
): FetchSettings {
  if (typeof options !== 'object' || options === null) {
    throw wrong(`the options must be an object, got ${options === null ? 'null' : typeof options}`);
  }
  const { store, record, consumer, waitUntil, ...data } = options;
  for (const [name, value] of Object.entries({ record, consumer, waitUntil })) {
    if (value === undefined || typeof value === 'function') continue;
    throw wrong(`"${name}" must be a function`);
  }
  const methods = ['get', 'set', 'used'] as const;
  if (store !== undefined && !methods.every((name) => typeof store?.[name] === 'function')) {
    throw wrong('"store" must be a store: an object with `get`, `set` and `used`');
  }
  const given = Object.entries(data).filter(([, value]) => value !== undefined);
  const settings = check<FetchSettings>(fetchSchema, Object.fromEntries(given), place);
  const contradiction = contradictionIn(settings);
  if (contradiction !== null) throw wrong(contradiction);
  if (!isCloudflare()) return settings;
  if (data.coalesce === true) {
    throw wrong('"coalesce" is not available on Cloudflare, where no request may wait for another');
  }
  return { ...settings, coalesce: false };
}

/** On Cloudflare, a request that waits for another request's work waits forever. */
function isCloudflare(): boolean {
  return globalThis.navigator?.userAgent === 'Cloudflare-Workers';
}

const place = 'withLlmCache';

function wrong(what: string): ConfigurationError {
  return new ConfigurationError(`${place}: ${what}`);
}
