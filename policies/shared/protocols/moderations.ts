import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { carriesError, isError } from './error.ts';
import { NoStream, nothingRead } from './no-stream.ts';
import type { Protocol, Reading } from './protocol.ts';

/**
 * Verdicts on texts and images: https://platform.openai.com/docs/api-reference/moderations, which is
 * free and tells no usage; https://docs.mistral.ai/api/ has the same shape, and tells it.
 */
export const moderations: Protocol = {
  name: 'moderations',
  provider: 'openai',
  matches: (path) => path.endsWith('/moderations'),
  isStream: () => false,
  isStateful: () => false,
  setsLimit: () => false,
  parts: inputs,
  complete: [],
  limited: [],
  cacheApart: false,
  isFreeUncounted: true,
  readAnswer,
  streamReader: () => new NoStream(),
};

/** Texts and conversations have a verdict each; parts of one message have one together. */
function inputs({ input }: JsonObject): number {
  const isMany = Array.isArray(input) && (typeof input[0] === 'string' || Array.isArray(input[0]));
  return isMany ? input.length : 1;
}

function readAnswer(json: JsonObject): Reading {
  const results: unknown[] = Array.isArray(json['results']) ? json['results'] : [];
  const usage = new UsageParts();
  usage.add(json['usage']);
  const fails = carriesError(json) || results.some(isError);
  const whole = results.length > 0 && results.every(isVerdict);
  return {
    ...nothingRead,
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usage.read(),
    fault: fails ? 'error-in-body' : whole ? null : 'incomplete',
    parts: results.length,
  };
}

function isVerdict(result: unknown): boolean {
  return isObject(result) && isObject(result['categories']);
}
