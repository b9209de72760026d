import type { JsonObject } from '../json/json.ts';
import { type ChoiceRules, choicesRequested, ChoicesReader, readChoices } from './choices.ts';
import type { Protocol } from './protocol.ts';

const rules: ChoiceRules = {
  outputOf: (choice) => choice,
  isOutput: (name, value) => name === 'text' && typeof value === 'string',
};

/** Completions, the older API: https://platform.openai.com/docs/api-reference/completions */
export const completions: Protocol = {
  name: 'completions',
  provider: 'openai',
  matches: (path) => path.endsWith('/completions') && !path.endsWith('/chat/completions'),
  isStream: (body) => body['stream'] === true,
  isStateful: () => false,
  setsLimit: (body) => typeof body['max_tokens'] === 'number',
  parts: (body) => prompts(body) * choicesRequested(body),
  complete: ['stop'],
  limited: ['length'],
  cacheApart: false,
  readAnswer: (json) => readChoices(json, rules),
  streamReader: () => new ChoicesReader(rules),
};

/** Counts the prompts: a prompt is a string or a list of tokens, and a list of either holds several. */
function prompts({ prompt }: JsonObject): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1;
}
