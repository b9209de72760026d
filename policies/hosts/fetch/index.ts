import { CachedHandler, type FetchHandler } from './handler.ts';
import type { LlmCacheOptions } from './options.ts';
import { protocolOf } from './exchange.ts';

export { ConfigurationError } from '../../../schemas/configuration-error.ts';
export type { FetchHandler } from './handler.ts';
export type { LlmCacheOptions } from './options.ts';
export type { CachedResponse } from '../../llm-cache/entry.ts';
export { MapStore, type MapStoreOptions } from '../../llm-cache/stores/map.ts';
export type { EntryStore, Store } from '../../llm-cache/stores/store.ts';
export type { UsageRecord } from '../../llm-usage/usage-record.ts';

/**
 * Returns `handler` with the cache in front of it, which does what `llm-cache` and `llm-usage` do in a
 * pipeline of the gateway. Throws a ConfigurationError if the options are wrong.
 */
export function withLlmCache<Rest extends readonly unknown[]>(
  handler: FetchHandler<Rest>,
  options: LlmCacheOptions<Rest> = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  const cached = new CachedHandler(handler, options);
  return async (request, ...rest) => {
    const protocol = protocolOf(request);
    if (protocol === null) return handler(request, ...rest);
    return cached.answer(request, rest, protocol);
  };
}
