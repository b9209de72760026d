import { llmCacheSchema, type LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import { llmUsageSchema, type LlmUsageSettings } from '../../../schemas/llm-usage.ts';
import { validate } from '../../../schemas/validate.ts';
import { cacheMiddleware, type LlmCacheServices } from '../node/cache-middleware.ts';
import { type LlmUsageServices, usageMiddleware } from '../node/usage-middleware.ts';
import { gatewayExchange } from './request.ts';
import type { Policy } from './types.ts';

/** The `llm-usage` policy: one record per request, cache hits included. */
export function llmUsagePolicy(current: () => LlmUsageServices): Policy {
  return {
    name: 'llm-usage',
    schema: llmUsageSchema,
    policy: ({ getCommonAuthCallback: _gateways, ...action }) => {
      const settings = validate<LlmUsageSettings>(llmUsageSchema, action, 'llm-usage');
      return usageMiddleware(settings, current(), gatewayExchange);
    },
  };
}

/** The `llm-cache` policy: answers identical requests from the cache. */
export function llmCachePolicy(current: () => LlmCacheServices): Policy {
  return {
    name: 'llm-cache',
    schema: llmCacheSchema,
    policy: ({ getCommonAuthCallback: _gateways, ...action }) => {
      const settings = validate<LlmCacheSettings>(llmCacheSchema, action, 'llm-cache');
      return cacheMiddleware(settings, current(), gatewayExchange);
    },
  };
}
