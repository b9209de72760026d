import { isObject, type JsonObject } from '../json.ts';
import { type ChoiceRules, ChoicesReader, readChoices } from './choices.ts';
import type { Protocol } from './protocol.ts';

const rules: ChoiceRules = {
  isWhole: (choice) => isObject(choice['message']),
  refuses: (choice) => refuses(choice['message']) || refuses(choice['delta']),
};

function refuses(message: unknown): boolean {
  return isObject(message) && typeof message['refusal'] === 'string' && message['refusal'] !== '';
}

/** Chat completions: https://platform.openai.com/docs/api-reference/chat */
export const chat: Protocol = {
  name: 'chat',
  provider: 'openai',
  matches: (path) => path.endsWith('/chat/completions'),
  isStream: (body) => body['stream'] === true,
  isStateful: () => false,
  setsLimit: (body: JsonObject) =>
    typeof body['max_tokens'] === 'number' || typeof body['max_completion_tokens'] === 'number',
  complete: ['stop', 'tool_calls', 'function_call'],
  limited: ['length'],
  cacheApart: false,
  readAnswer: (json) => readChoices(json, rules),
  streamReader: () => new ChoicesReader(rules),
};
