import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { readResults, resultsAtOnce } from './results-at-once.ts';
import type { Protocol, Reading } from './protocol.ts';

/**
 * Verdicts on texts and images: https://platform.openai.com/docs/api-reference/moderations, which is
 * free and reports no usage; https://docs.mistral.ai/api/ has the same shape and reports it.
 */
export const moderations: Protocol = {
  ...resultsAtOnce,
  name: 'moderations',
  provider: 'openai',
  matches: (path) => path.endsWith('/moderations'),
  parts: countInputs,
  isFreeUncounted: true,
  readAnswer,
};

/** Counts the inputs: each text or conversation gets a verdict, the parts of one message share one. */
function countInputs({ input }: JsonObject): number {
  const isMany = Array.isArray(input) && (typeof input[0] === 'string' || Array.isArray(input[0]));
  return isMany ? input.length : 1;
}

function readAnswer(json: JsonObject): Reading {
  const results: unknown[] = Array.isArray(json['results']) ? json['results'] : [];
  const usage = new UsageParts();
  usage.add(json['usage']);
  return {
    ...readResults(json, results, results.every(isVerdict)),
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usage.read(),
  };
}

function isVerdict(result: unknown): boolean {
  return isObject(result) && isObject(result['categories']);
}
