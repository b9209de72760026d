import { isObject, type JsonObject } from '../json.ts';
import { type ChoiceRules, choicesAsked, ChoicesReader, readChoices } from './choices.ts';
import { isError } from './error.ts';
import { expiryOf } from './expiry.ts';
import type { Protocol } from './protocol.ts';

const rules: ChoiceRules = {
  speaks: (choice) => Object.entries(messageOf(choice)).some(saysSomething),
  refuses: (choice) => {
    const { refusal } = messageOf(choice);
    return typeof refusal === 'string' && refusal !== '';
  },
  fails: (choice) => isError(messageOf(choice)),
  cites: (choice) => {
    const { annotations } = messageOf(choice);
    return Array.isArray(annotations) && annotations.some(isUrlCitation);
  },
  // A later request may name the voice by its id.
  expiry: (choice) => expiryOf(messageOf(choice)['audio']),
};

function isUrlCitation(annotation: unknown): boolean {
  return isObject(annotation) && annotation['type'] === 'url_citation';
}

/** The message of a choice or, of a stream's chunk, what is new of it. */
function messageOf(choice: JsonObject): JsonObject {
  const message = choice['message'] ?? choice['delta'];
  return isObject(message) ? message : {};
}

/** An empty content is one that the model gave; any other member must hold something. */
function saysSomething([name, value]: [string, unknown]): boolean {
  if (name === 'role') return false;
  if (typeof value === 'string') return name === 'content' || value !== '';
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) && Object.keys(value).length > 0;
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
  parts: choicesAsked,
  complete: ['stop', 'tool_calls', 'function_call'],
  limited: ['length'],
  cacheApart: false,
  readAnswer: (json) => readChoices(json, rules),
  streamReader: () => new ChoicesReader(rules),
};
