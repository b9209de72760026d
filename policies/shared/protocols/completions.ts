import { type ChoiceRules, ChoicesReader, readChoices } from './choices.ts';
import type { Protocol } from './protocol.ts';

const rules: ChoiceRules = {
  isWhole: (choice) => typeof choice['text'] === 'string',
  refuses: () => false,
};

/** Completions, the older API: https://platform.openai.com/docs/api-reference/completions */
export const completions: Protocol = {
  name: 'completions',
  provider: 'openai',
  matches: (path) => path.endsWith('/completions') && !path.endsWith('/chat/completions'),
  isStream: (body) => body['stream'] === true,
  isStateful: () => false,
  setsLimit: (body) => typeof body['max_tokens'] === 'number',
  complete: ['stop'],
  limited: ['length'],
  cacheApart: false,
  readAnswer: (json) => readChoices(json, rules),
  streamReader: () => new ChoicesReader(rules),
};
