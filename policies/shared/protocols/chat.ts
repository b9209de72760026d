import { isObject, type JsonObject } from '../json/json.ts';
import { type ChoiceRules, choicesAsked, ChoicesReader, readChoices } from './choices.ts';
import type { Protocol } from './protocol.ts';

const nothing: JsonObject = {};

const rules: ChoiceRules = {
  // The message or, of a stream's chunk, what is new of it.
  saidIn: (choice) => {
    const message = choice['message'] ?? choice['delta'];
    return isObject(message) ? message : nothing;
  },
  // An empty content is one that the model gave; any other member must hold something.
  isSomething: (name, value) => {
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
  parts: choicesAsked,
  complete: ['stop', 'tool_calls', 'function_call'],
  limited: ['length'],
  cacheApart: false,
  readAnswer: (json) => readChoices(json, rules),
  streamReader: () => new ChoicesReader(rules),
};
