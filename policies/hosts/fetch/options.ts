import { check } from '../../../schemas/validate-portable.ts';
import { fetchSchema, type FetchSettings } from '../../../schemas/fetch.ts';
import { contradictionIn, type LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import type { RateSettings } from '../../../schemas/plugin.ts';
import { ConfigurationError } from '../../../schemas/configuration-error.ts';
import type { EntryStore } from '../../llm-cache/stores/store.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';

/** How a handler is cached: the parameters of the `llm-cache` action, and what a gateway would tell beside them. */
export interface LlmCacheOptions<
  Rest extends readonly unknown[] = readonly unknown[],
> extends Partial<Omit<LlmCacheSettings, 'store'>> {
  /** Where entries are kept; default: in this process's memory. */
  readonly store?: EntryStore;
  /** What all entries of that default store may take, in bytes; default: 64 MiB. */
  readonly maxBytes?: number;
  /** What goes when that is full: what saves least for its bytes, or the least recently used; default: `worth`. */
  readonly eviction?: 'worth' | 'lru';
  /** All bodies held at once, in bytes; past it new requests bypass. Default: 64 MiB. */
  readonly bufferedBytes?: number;
  /** The key of the digests that stand for consumers and credentials; default: a random one. */
  readonly scopeSecret?: string;
  /**
   * Who asks, where the platform or the application has found out: an id, or an object, which is
   * known by its `id` or `sub`, the issuer and the tenants that it names, and without an `id` and a
   * `sub` by all that is in it. Called with what the handler is called with. Where it fails, and for
   * a consumer that cannot be told from others for certain, the cache stands aside.
   */
  readonly consumer?: (request: Request, ...rest: Rest) => unknown;
  /** Given the usage record of every request on a path that the cache serves, cache hits included. */
  readonly record?: (record: UsageRecord) => void | Promise<void>;
  /** The provider's name in the records; default: by protocol. */
  readonly provider?: string;
  /** USD per million tokens, by model or by the beginning of its name; wins over the built-in list. */
  readonly prices?: Readonly<Record<string, RateSettings>>;
  /** Keeps the platform from ending before the promise has; default: `waitUntil` of the handler's own arguments. */
  readonly waitUntil?: (promise: Promise<unknown>) => void;
}

/** Throws a ConfigurationError where there is no handler to call. */
export function requireHandler(handler: unknown): void {
  if (typeof handler === 'function') return;
  throw wrong(`the handler must be a function, got ${typeof handler}`);
}

/** Throws a ConfigurationError that says what is wrong with the options. */
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
    throw wrong('"coalesce" cannot be had on Cloudflare, where no request may wait for another');
  }
  return { ...settings, coalesce: false };
}

/** Its runtime lets a request that waits for what another has begun wait for ever. */
function isCloudflare(): boolean {
  return globalThis.navigator?.userAgent === 'Cloudflare-Workers';
}

const place = 'withLlmCache';

function wrong(what: string): ConfigurationError {
  return new ConfigurationError(`${place}: ${what}`);
}
