import { closed } from './schema.ts';
import { llmCacheSchema } from './llm-cache.ts';
import { llmUsageSchema } from './llm-usage.ts';

const apiEndpoint = {
  type: 'string',
  minLength: 1,
  maxLength: 256,
  description: 'a name for these requests in stats and records, and for the namespace',
} as const;

// A schema cannot validate a function, so `consumer` is checked separately.
const allowed = ['consumer'] as const;

/** The options of the `llmCache` middleware: those of the policy's action, and two more. */
export const expressCacheSchema = {
  $id: 'http://express-gateway.io/schemas/express/llm-cache.json',
  ...closed({ ...llmCacheSchema.properties, apiEndpoint }, { allowed }),
} as const;

/** The options of the `llmUsage` middleware. */
export const expressUsageSchema = {
  $id: 'http://express-gateway.io/schemas/express/llm-usage.json',
  ...closed({ ...llmUsageSchema.properties, apiEndpoint }, { allowed }),
} as const;
