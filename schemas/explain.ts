import { closed } from './schema.ts';
import type { SettingsOf } from './settings.ts';

const properties = {
  apiEndpoint: {
    type: 'string',
    minLength: 1,
    description: 'the name of the apiEndpoint that the request comes to',
  },
  path: {
    type: 'string',
    pattern: '^/',
    description: 'the path as the client sends it, from its first slash on, with its query',
  },
  headers: {
    type: 'object',
    additionalProperties: {
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
    },
    default: {},
    description: 'what the client sends',
  },
  consumer: {
    type: ['string', 'object', 'null'],
    default: null,
    description:
      'the name or id of a consumer, or the payload of a token that the gateway does not look up',
  },
  body: {
    type: ['object', 'string'],
    description: 'the JSON object, or a text for the exact bytes',
  },
} as const;

/** The body of `POST /llm-cache/explain`. */
export const explainSchema = {
  $id: 'http://express-gateway.io/schemas/llm-cache/explain.json',
  ...closed(properties, { required: ['apiEndpoint', 'path', 'body'] }),
} as const;

export type ExplainQuestion = SettingsOf<typeof properties, 'apiEndpoint' | 'path' | 'body'>;
