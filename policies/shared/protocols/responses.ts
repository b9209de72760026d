import { isObject, type JsonObject, nameOrNull } from '../json.ts';
import { readUsage } from '../usage.ts';
import { carriesError } from './error.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Responses: https://platform.openai.com/docs/api-reference/responses */
export const responses: Protocol = {
  name: 'responses',
  provider: 'openai',
  matches: (path) => path.endsWith('/responses'),
  isStream: (body) => body['stream'] === true,
  isStateful: (body) => body['background'] === true || isSet(body['conversation']),
  setsLimit: (body) => typeof body['max_output_tokens'] === 'number',
  complete: [],
  limited: [],
  cacheApart: false,
  readAnswer,
  streamReader: () => new ResponsesReader(),
};

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function readAnswer(json: JsonObject): Reading {
  const whole = json['object'] === 'response' && json['status'] === 'completed';
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: readUsage(json['usage']),
    fault: carriesError(json) ? 'error-in-body' : whole ? null : 'incomplete',
    finishReasons: [],
    refused: refuses(json['output']),
  };
}

/** A message whose content has a part of type `refusal`. */
function refuses(output: unknown): boolean {
  return (Array.isArray(output) ? output : []).some(
    (item) =>
      isObject(item) &&
      Array.isArray(item['content']) &&
      item['content'].some((part) => isObject(part) && part['type'] === 'refusal'),
  );
}

/**
 * Events of a response's life cycle, each with the response as far as it is, and what it is made of:
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
class ResponsesReader implements StreamReader {
  ended = false;
  #done = false;
  #error = false;
  #refused = false;
  /** As the last event of the life cycle tells it. */
  #last: Reading = readAnswer({});

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    const type = nameOrNull(data['type']) ?? name;
    if (name === 'error' || type === 'response.failed' || carriesError(data)) this.#error = true;
    if (type.startsWith('response.refusal.')) this.#refused = true;
    if (isObject(data['response'])) this.#last = readAnswer(data['response']);
    if (type === 'response.completed') this.ended = true;
    return true;
  }

  /** Some send it behind `response.completed`. */
  done(): boolean {
    if (this.#done || !this.ended) return false;
    this.#done = true;
    return true;
  }

  reading(): Reading {
    const fault = this.ended ? this.#last.fault : 'incomplete';
    return {
      ...this.#last,
      fault: this.#error ? 'error-in-body' : fault,
      refused: this.#refused || this.#last.refused,
    };
  }
}
