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

/** `{embedding: {values}}`, and `{embeddings: [{values}, …]}` for a batch, in the order of its requests. */
function readAnswer(json: JsonObject): Reading {
  const { embedding, embeddings } = json;
  const all: unknown[] = Array.isArray(embeddings)
    ? embeddings
    : embedding === undefined
      ? []
      : [embedding];
  const usage = new UsageParts();
  usage.add(geminiUsage(json['usageMetadata']));
  return { ...readResults(json, all, all.every(hasValues)), usage: usage.read() };
}

function hasValues(embedding: unknown): boolean {
  const values = isObject(embedding) ? embedding['values'] : null;
  return Array.isArray(values) && values.length > 0 && !values.includes(null);
}
