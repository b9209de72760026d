import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { embeddingItems } from './embedding-items.ts';
import { readResults, resultsAtOnce } from './results-at-once.ts';
import type { Protocol, Reading } from './protocol.ts';

/** Embeddings: https://platform.openai.com/docs/api-reference/embeddings */
export const embeddings: Protocol = {
  ...resultsAtOnce,
  name: 'embeddings',
  provider: 'openai',
  matches: (path) => path.endsWith('/embeddings'),
  parts: countInputs,
  items: embeddingItems,
  readAnswer,
};

/** Counts the inputs: an input is a string or a list of tokens, and a list of either holds several. */
function countInputs({ input }: JsonObject): number {
  return Array.isArray(input) && typeof input[0] !== 'number' ? Math.max(1, input.length) : 1;
}

function readAnswer(json: JsonObject): Reading {
  const data: unknown[] = Array.isArray(json['data']) ? json['data'] : [];
  const usage = new UsageParts();
  usage.add(json['usage']);
  const areSound = data.every(hasEmbedding) && areAlike(data) && areNumbered(data);
  return {
    ...readResults(json, data, areSound),
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usage.read(),
  };
}

/** An embedding is a list of numbers, or its bytes in base64; some models return a list of lists. */
function hasEmbedding(item: unknown): boolean {
  if (!isObject(item)) return false;
  const { embedding } = item;
  if (typeof embedding === 'string') return embedding !== '';
  // JSON cannot express NaN or Infinity, so a failed value comes as null or a string.
  return Array.isArray(embedding) && embedding.length > 0 && embedding.every(isNumberOrList);
}

function isNumberOrList(value: unknown): boolean {
  return typeof value === 'number' || Array.isArray(value);
}

/** Whether all vectors have one length, as those of one model do. */
function areAlike(data: readonly unknown[]): boolean {
  const lengths = new Set<number>();
  for (const item of data) {
    const embedding: unknown = isObject(item) ? item['embedding'] : null;
    if (typeof embedding === 'string') lengths.add(embedding.length);
    else if (Array.isArray(embedding) && typeof embedding[0] === 'number') {
      lengths.add(embedding.length);
    }
  }
  return lengths.size <= 1;
}

/** Whether the indexes, if there are any, are those of the inputs, without gaps or duplicates. */
function areNumbered(data: readonly unknown[]): boolean {
  const indexes = new Set<unknown>(data.map((item) => (isObject(item) ? item['index'] : null)));
  if (indexes.size === 1 && (indexes.has(undefined) || indexes.has(null))) return true;
  return data.every((_, index) => indexes.has(index));
}
