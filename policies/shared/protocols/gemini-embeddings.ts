import { isObject, type JsonObject } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { readGeminiTarget } from './gemini-target.ts';
import { geminiUsage } from './gemini-usage.ts';
import type { Protocol, Reading } from './protocol.ts';
import { readResults, resultsAtOnce } from './results-at-once.ts';

/** Embeddings of Gemini's own API: https://ai.google.dev/api/embeddings */
export const geminiEmbeddings: Protocol = {
  ...resultsAtOnce,
  name: 'gemini-embeddings',
  provider: 'google',
  matches: (path) => path.endsWith(':embedContent') || path.endsWith(':batchEmbedContents'),
  readTarget: readGeminiTarget,
  parts: ({ requests }) => (Array.isArray(requests) ? Math.max(1, requests.length) : 1),
  readAnswer,
};

/** Reads `{embedding: {values}}` or, for a batch and in its order, `{embeddings: [{values}, …]}`. */
function readAnswer(json: JsonObject): Reading {
  const { embedding, embeddings } = json;
  const all: unknown[] = Array.isArray(embeddings)
    ? embeddings
    : embedding === undefined
      ? []
      : [embedding];
  const usage = new UsageParts();
  usage.add(geminiUsage(json['usageMetadata']));
  const lengths = new Set(all.map(lengthOf));
  const areSound = lengths.size <= 1 && !lengths.has(0);
  return { ...readResults(json, all, areSound), usage: usage.read() };
}

/** Returns the length of a vector, which is the same for all vectors of a model; 0 if it is not one. */
function lengthOf(embedding: unknown): number {
  const values: unknown = isObject(embedding) ? embedding['values'] : null;
  if (!Array.isArray(values)) return 0;
  return values.every((value) => typeof value === 'number') ? values.length : 0;
}
