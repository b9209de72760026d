import { isObject, type JsonObject } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { carriesError, isError } from './error.ts';
import { readGeminiTarget } from './gemini-target.ts';
import { geminiUsage } from './gemini-usage.ts';
import { NoStream, nothingRead } from './no-stream.ts';
import type { Protocol, Reading } from './protocol.ts';

/** Embeddings of Gemini's own API: https://ai.google.dev/api/embeddings */
export const geminiEmbeddings: Protocol = {
  name: 'gemini-embeddings',
  provider: 'google',
  matches: (path) => path.endsWith(':embedContent') || path.endsWith(':batchEmbedContents'),
  isStream: () => false,
  readTarget: readGeminiTarget,
  isStateful: () => false,
  setsLimit: () => false,
  parts: ({ requests }) => (Array.isArray(requests) ? Math.max(1, requests.length) : 1),
  complete: [],
  limited: [],
  cacheApart: false,
  readAnswer,
  streamReader: () => new NoStream(),
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
  const fails = carriesError(json) || all.some(isError);
  const whole = all.length > 0 && all.every(hasValues);
  return {
    ...nothingRead,
    usage: usage.read(),
    fault: fails ? 'error-in-body' : whole ? null : 'incomplete',
    parts: all.length,
  };
}

function hasValues(embedding: unknown): boolean {
  const values = isObject(embedding) ? embedding['values'] : null;
  return Array.isArray(values) && values.length > 0 && !values.includes(null);
}
