import { isObject, type JsonObject } from '../json/json.ts';
import { type ChoiceRules, choicesRequested, ChoicesReader, readChoices } from './choices.ts';
import type { Protocol } from './protocol.ts';

const nothing: JsonObject = {};

const rules: ChoiceRules = {
  // The message or, in a stream's chunk, the delta.
  outputOf: (choice) => {
    const message = choice['message'] ?? choice['delta'];
    return isObject(message) ? message : nothing;
  },
  // An empty `content` counts as output; any other member must not be empty.
  isOutput: (name, value) => {
    if (name === 'role') return false;
    if (typeof value === 'string') return name === 'content' || value !== '';
    if (Array.isArray(value)) return value.length > 0;
    return isObject(value) && Object.keys(value).length > 0;
  },
};

/** Chat completions: https://platform.openai.com/docs/api-reference/chat */
export const chat: Protocol = {
  name: 'chat',
  provider: 'openai',
  matches: (path) => path.endsWith('/chat/completions'),
  isStream: (body) => body['stream'] === true,
  isStateful: () => false,
  setsLimit: (body: JsonObject) =>
    typeof body['max_tokens'] === 'number' || typeof body['max_completion_tokens'] === 'number',
  parts: choicesRequested,
  complete: ['stop', 'tool_calls', 'function_call'],
  limited: ['length'],
  cacheApart: false,
  readAnswer: (json) => readChoices(json, rules),
  streamReader: () => new ChoicesReader(rules),
};
