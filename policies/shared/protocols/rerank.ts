import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { readResults, resultsAtOnce } from './results-at-once.ts';
import type { Protocol, Reading } from './protocol.ts';

/**
 * Documents in the order of their relevance to a query: https://docs.cohere.com/reference/rerank,
 * https://api.jina.ai/redoc (vLLM and many others have its shape),
 * https://docs.voyageai.com/reference/reranker-api
 */
export const rerank: Protocol = {
  ...resultsAtOnce,
  name: 'rerank',
  provider: 'cohere',
  matches: (path) => path.endsWith('/rerank'),
  parts: countResults,
  readAnswer,
  // text-embeddings-inference answers with the bare list of results.
  readList: (items) => readRanking(items, {}),
};

/** Counts the results to expect: one per document, up to the limit in the request. */
function countResults(body: JsonObject): number {
  const { documents, texts, top_n: topN, top_k: topK } = body;
  const all = [documents, texts].find(Array.isArray)?.length ?? 1;
  const most = [topN, topK].find((count) => Number.isSafeInteger(count) && (count as number) > 0);
  return Math.max(1, Math.min(all, (most as number | undefined) ?? all));
}

function readAnswer(json: JsonObject): Reading {
  const { results, data } = json;
  // Voyage calls them `data`.
  const all: unknown[] = Array.isArray(results) ? results : Array.isArray(data) ? data : [];
  return readRanking(all, json);
}

function readRanking(results: readonly unknown[], json: JsonObject): Reading {
  const usage = new UsageParts();
  usage.add(json['usage']);
  const { meta } = json;
  if (isObject(meta)) usage.add(meta['billed_units']);
  const areSound = results.every(hasScore) && areDistinct(results);
  return {
    ...readResults(json, results, areSound),
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usage.read(),
  };
}

function hasScore(result: unknown): boolean {
  if (!isObject(result)) return false;
  const score = result['relevance_score'] ?? result['score'];
  const { index } = result;
  return typeof score === 'number' && Number.isSafeInteger(index) && (index as number) >= 0;
}

/** Whether no document occurs twice. */
function areDistinct(results: readonly unknown[]): boolean {
  const indexes = new Set(results.map((result) => (isObject(result) ? result['index'] : null)));
  return indexes.size === results.length;
}
