import { closed } from './schema.ts';
import type { SettingsOf } from './settings.ts';

const protocols = [
  'chat',
  'completions',
  'responses',
  'embeddings',
  'messages',
  'gemini',
  'gemini-embeddings',
  'rerank',
  'moderations',
] as const;

const requestProperties = {
  protocols: {
    type: 'array',
    minItems: 1,
    items: { type: 'string', enum: protocols },
    default: protocols,
    description: 'the APIs to match',
  },
  paths: {
    type: 'array',
    minItems: 1,
    items: { type: 'string', minLength: 1, maxLength: 1024 },
    description: 'globs for the path that the client sent; they narrow `protocols`',
  },
} as const;

/** The `llm-request` condition: the request is one that the cache serves. */
export const llmRequestSchema = {
  $id: 'http://express-gateway.io/schemas/conditions/llm-request.json',
  ...closed(requestProperties, { allowed: ['name'] }),
} as const;

export type LlmRequestSettings = SettingsOf<typeof requestProperties>;

/** The `llm-no-cache` condition: the client asks for a fresh answer. */
export const llmNoCacheSchema = {
  $id: 'http://express-gateway.io/schemas/conditions/llm-no-cache.json',
  ...closed({}, { allowed: ['name'] }),
} as const;

/** The names of this plugin's conditions and of the gateway's own. */
export const conditionNames = [
  'llm-request',
  'llm-no-cache',
  'always',
  'never',
  'allOf',
  'oneOf',
  'not',
  'pathMatch',
  'pathExact',
  'method',
  'hostMatch',
  'expression',
  'authenticated',
  'anonymous',
  'tlsClientAuthenticated',
  'json-schema',
] as const;
