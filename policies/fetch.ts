import { CachedHandler, type FetchHandler } from './fetch/handler.ts';
import type { LlmCacheOptions } from './fetch/options.ts';
import { protocolOf } from './shared/web/exchange.ts';

export { ConfigurationError } from '../schemas/problems.ts';
export type { FetchHandler } from './fetch/handler.ts';
export type { LlmCacheOptions } from './fetch/options.ts';
export type { CachedResponse } from './llm-cache/entry.ts';
export type { Store } from './llm-cache/stores/store.ts';
export type { UsageRecord } from './llm-usage/usage-record.ts';

/**
 * `handler` with the cache in front of it: what `llm-cache` and `llm-usage` are to a pipeline of
 * the gateway. Throws a ConfigurationError where the options are wrong.
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
