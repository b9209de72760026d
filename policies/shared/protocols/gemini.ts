import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { carriesError, isError } from './error.ts';
import { readGeminiTarget } from './gemini-target.ts';
import { geminiUsage } from './gemini-usage.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Gemini's own API, also on Vertex AI: https://ai.google.dev/api/generate-content */
export const gemini: Protocol = {
  name: 'gemini',
  provider: 'google',
  matches: (path) => path.endsWith(':generateContent') || path.endsWith(':streamGenerateContent'),
  isStream: () => false,
  readTarget: readGeminiTarget,
  isStateful: () => false,
  setsLimit: (body) => typeof setting(body, 'maxOutputTokens', 'max_output_tokens') === 'number',
  parts: candidatesRequested,
  complete: ['STOP'],
  limited: ['MAX_TOKENS'],
  cacheApart: false,
  readAnswer: (json) => readAll([json], true),
  // `:streamGenerateContent` without `alt=sse` sends the chunks in one array.
  readList: (items) => readAll(items, false),
  streamReader: () => new CandidatesReader(false),
};

/** Returns a member of `generationConfig`; the API also accepts its protocol-buffer names. */
function setting(body: JsonObject, name: string, protoName: string): unknown {
  const config = body['generationConfig'] ?? body['generation_config'];
  return isObject(config) ? (config[name] ?? config[protoName]) : undefined;
}

function candidatesRequested(body: JsonObject): number {
  const count = setting(body, 'candidateCount', 'candidate_count');
  return Number.isSafeInteger(count) && (count as number) > 0 ? (count as number) : 1;
}

function readAll(items: readonly unknown[], atOnce: boolean): Reading {
  const reader = new CandidatesReader(atOnce);
  for (const item of items) {
    if (isObject(item)) reader.event('', item);
    else reader.markUnreadable();
  }
  return reader.reading();
}

/** More candidates than the API returns; bounds the memory of the reader. */
const maxCandidates = 64;

interface Candidate {
  finishReason: string | null;
  /** Whether the candidate has any output besides thoughts. */
  hasOutput: boolean;
  /** The provider's searches for this candidate, by the latest count. */
  searches: number;
}

/**
 * Reads chunks, each with the next parts of some candidates. No event marks the end of a stream: it
 * is whole if every candidate has its finish reason when the body ends.
 */
class CandidatesReader implements StreamReader {
  readonly ended = false;
  /** Whether all candidates come at once, each of them whole. */
  readonly #atOnce: boolean;
  readonly #candidates = new Map<number, Candidate>();
  #id: string | null = null;
  #model: string | null = null;
  readonly #usage = new UsageParts();
  #hasError = false;
  #isUnreadable = false;
  /** Whether the prompt was refused, which leaves no candidates, or a filter removed something. */
  #isBlocked = false;

  constructor(atOnce: boolean) {
    this.#atOnce = atOnce;
  }

  event(name: string, data: JsonObject): boolean {
    if (name === 'error' || carriesError(data)) this.#hasError = true;
    const id = nameOrNull(data['responseId']);
    // Two answers in one body.
    if (id !== null && this.#id !== null && id !== this.#id) this.#isUnreadable = true;
    this.#id ??= id;
    this.#model ??= nameOrNull(data['modelVersion']);
    this.#usage.add(geminiUsage(data['usageMetadata']));
    const { promptFeedback: feedback, candidates } = data;
    this.#isBlocked ||= isObject(feedback) && nameOrNull(feedback['blockReason']) !== null;
    if (!Array.isArray(candidates)) return true;
    for (let at = 0; at < candidates.length; at++) this.#read(candidates[at], at);
    return true;
  }

  /** Notes a part that is not an object. */
  markUnreadable(): void {
    this.#isUnreadable = true;
  }

  done(): boolean {
    return false;
  }

  get fault(): Reading['fault'] {
    if (this.#hasError) return 'error-in-body';
    if (this.#isUnreadable) return 'incomplete';
    return this.#isBlocked || this.#isComplete() ? null : 'incomplete';
  }

  reading(): Reading {
    const candidates = [...this.#candidates.values()];
    const searches = candidates.reduce((sum, one) => sum + one.searches, 0);
    this.#usage.calls({ web_search_requests: searches });
    return {
      id: this.#id,
      model: this.#model,
      usage: this.#usage.read(),
      fault: this.fault,
      finishReasons: candidates.map(({ finishReason }) => finishReason),
      refused: this.#isBlocked,
      parts: candidates.length,
      expiresAt: null,
    };
  }

  /** Whether there are candidates, their indexes have no gap, and each has ended. */
  #isComplete(): boolean {
    const { size } = this.#candidates;
    if (size === 0) return false;
    for (const [index, { finishReason, hasOutput }] of this.#candidates) {
      if (index >= size || finishReason === null) return false;
      // An empty answer that claims `STOP` is a known failure; a filtered one has another reason.
      if (!hasOutput && finishReason === 'STOP') return false;
    }
    return true;
  }

  #read(candidate: unknown, at: number): void {
    const index = isObject(candidate) ? indexOf(candidate, this.#atOnce ? at : 0) : null;
    const known = index === null ? undefined : this.#candidates.get(index);
    const isExcess = known === undefined && this.#candidates.size >= maxCandidates;
    const isDuplicate = known !== undefined && this.#atOnce;
    if (!isObject(candidate) || index === null || isExcess || isDuplicate) {
      this.#isUnreadable = true;
      return;
    }
    const state = known ?? { finishReason: null, hasOutput: false, searches: 0 };
    this.#candidates.set(index, state);
    // A bad finish reason is final.
    if (state.finishReason === null || state.finishReason === 'STOP') {
      state.finishReason = nameOrNull(candidate['finishReason']) ?? state.finishReason;
    }
    this.#isBlocked ||= isFiltered(candidate['safetyRatings']);
    state.hasOutput ||= holdsOutput(candidate['content']);
    state.searches = searchesIn(candidate['groundingMetadata']) || state.searches;
    if (isError(candidate) || failedToFetch(candidate['urlContextMetadata'])) this.#hasError = true;
  }
}

/** Returns the index; null if it is invalid. Protocol buffers omit a 0. */
function indexOf(candidate: JsonObject, fallback: number): number | null {
  const index = candidate['index'] ?? fallback;
  return Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : null;
}

/** https://ai.google.dev/api/generate-content#safetyrating */
function isFiltered(ratings: unknown): boolean {
  return Array.isArray(ratings) && ratings.some((one) => isObject(one) && one['blocked'] === true);
}

function holdsOutput(content: unknown): boolean {
  const parts = isObject(content) ? content['parts'] : null;
  return Array.isArray(parts) && parts.some(isOutput);
}

/** Whether a part is text, a function call, code, an image, …, not just a thought or its signature. */
function isOutput(part: unknown): boolean {
  if (!isObject(part) || part['thought'] === true) return false;
  return Object.entries(part).some(
    ([name, value]) => (name === 'text' && value !== '') || isObject(value),
  );
}

/** https://ai.google.dev/gemini-api/docs/google-search */
function searchesIn(grounding: unknown): number {
  const queries = isObject(grounding) ? grounding['webSearchQueries'] : null;
  return Array.isArray(queries) ? queries.length : 0;
}

/** Whether a page failed to load this time. A page behind a paywall, which never loads, does not count. */
function failedToFetch(context: unknown): boolean {
  const pages = isObject(context) ? context['urlMetadata'] : null;
  return (
    Array.isArray(pages) &&
    pages.some(
      (page) => isObject(page) && page['urlRetrievalStatus'] === 'URL_RETRIEVAL_STATUS_ERROR',
    )
  );
}
