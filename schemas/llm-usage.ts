import { closed } from './schema.ts';
import type { SettingsOf } from './settings.ts';

const properties = {
  provider: {
    type: 'string',
    minLength: 1,
    maxLength: 256,
    description:
      "the provider's name in the records; default: by protocol, `openai`, `anthropic`, `google` or `cohere`",
  },
  maxRequestBytes: {
    type: 'integer',
    minimum: 1,
    default: 10485760,
    description: 'a larger request is streamed through; its record has only what the response says',
  },
  maxResponseBytes: {
    type: 'integer',
    minimum: 1,
    default: 8388608,
    description:
      'how much of a JSON answer is held to read its usage (a stream is read as it passes)',
  },
} as const;

/** The action of the `llm-usage` policy. */
export const llmUsageSchema = {
  $id: 'http://express-gateway.io/schemas/policies/llm-usage.json',
  // The gateway copies getCommonAuthCallback onto every action.
  ...closed(properties, { allowed: ['getCommonAuthCallback'] }),
} as const;

export type LlmUsageSettings = SettingsOf<typeof properties>;
