import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { carriesError, isError } from './error.ts';
import { readGeminiTarget } from './gemini-target.ts';
import { geminiUsage } from './gemini-usage.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Gemini's own API: https://ai.google.dev/api/generate-content, on Vertex AI the same. */
export const gemini: Protocol = {
  name: 'gemini',
  provider: 'google',
  matches: (path) => path.endsWith(':generateContent') || path.endsWith(':streamGenerateContent'),
  isStream: () => false,
  readTarget: readGeminiTarget,
  isStateful: () => false,
  setsLimit: (body) => typeof setting(body, 'maxOutputTokens', 'max_output_tokens') === 'number',
  parts: candidatesAsked,
  complete: ['STOP'],
  limited: ['MAX_TOKENS'],
  cacheApart: false,
  readAnswer: (json) => readAll([json], true),
  // `:streamGenerateContent` without `alt=sse`: what would be events, in one array.
  readList: (items) => readAll(items, false),
  streamReader: () => new CandidatesReader(false),
};

/** A member of `generationConfig`; the API takes the names of its protocol buffers as well. */
function setting(body: JsonObject, name: string, protoName: string): unknown {
  const config = body['generationConfig'] ?? body['generation_config'];
  return isObject(config) ? (config[name] ?? config[protoName]) : undefined;
}

function candidatesAsked(body: JsonObject): number {
  const count = setting(body, 'candidateCount', 'candidate_count');
  return Number.isSafeInteger(count) && (count as number) > 0 ? (count as number) : 1;
}

function readAll(items: readonly unknown[], atOnce: boolean): Reading {
  const reader = new CandidatesReader(atOnce);
  for (const item of items) {
    if (isObject(item)) reader.event('', item);
    else reader.unreadable();
  }
  return reader.reading();
}

/** More than the API gives; a bound on what a stream can make its reader keep. */
const maxCandidates = 64;

interface Candidate {
  finishReason: string | null;
  /** It has had something to say beside its thoughts. */
  spoken: boolean;
  /** Searches that the provider made for it, as they were told last. */
  searches: number;
}

/**
 * Responses, each with the next parts of some candidates. No event ends a stream: it is whole when
 * it ends and every candidate has its finish reason.
 */
class CandidatesReader implements StreamReader {
  readonly ended = false;
  /** All candidates come at once, each of them whole. */
  readonly #atOnce: boolean;
  readonly #candidates = new Map<number, Candidate>();
  #id: string | null = null;
  #model: string | null = null;
  readonly #usage = new UsageParts();
  #error = false;
  #unreadable = false;
  /** The prompt was refused, and then there is no candidate; or a filter says that it took something. */
  #isBlocked = false;

  constructor(atOnce: boolean) {
    this.#atOnce = atOnce;
  }

  event(name: string, data: JsonObject): boolean {
    if (name === 'error' || carriesError(data)) this.#error = true;
    const id = nameOrNull(data['responseId']);
    // Two answers in one.
    if (id !== null && this.#id !== null && id !== this.#id) this.#unreadable = true;
    this.#id ??= id;
    this.#model ??= nameOrNull(data['modelVersion']);
    this.#usage.add(geminiUsage(data['usageMetadata']));
    const { promptFeedback: feedback, candidates } = data;
    this.#isBlocked ||= isObject(feedback) && nameOrNull(feedback['blockReason']) !== null;
    if (!Array.isArray(candidates)) return true;
    for (let at = 0; at < candidates.length; at++) this.#read(candidates[at], at);
    return true;
  }

  /** Something came that is no response. */
  unreadable(): void {
    this.#unreadable = true;
  }

  done(): boolean {
    return false;
  }

  get fault(): Reading['fault'] {
    if (this.#error) return 'error-in-body';
    if (this.#unreadable) return 'incomplete';
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

  /** Whether there are candidates, without a gap, and each has ended. */
  #isComplete(): boolean {
    const { size } = this.#candidates;
    if (size === 0) return false;
    for (const [index, { finishReason, spoken }] of this.#candidates) {
      if (index >= size || finishReason === null) return false;
      // An answer without a word is a known failure; one that was filtered says so itself.
      if (!spoken && finishReason === 'STOP') return false;
    }
    return true;
  }

  #read(candidate: unknown, at: number): void {
    const index = isObject(candidate) ? indexOf(candidate, this.#atOnce ? at : 0) : null;
    const known = index === null ? undefined : this.#candidates.get(index);
    const isOneTooMany = known === undefined && this.#candidates.size >= maxCandidates;
    const isTwice = known !== undefined && this.#atOnce;
    if (!isObject(candidate) || index === null || isOneTooMany || isTwice) {
      this.#unreadable = true;
      return;
    }
    const state = known ?? { finishReason: null, spoken: false, searches: 0 };
    this.#candidates.set(index, state);
    // What came to a bad end once has not come to a good one.
    if (state.finishReason === null || state.finishReason === 'STOP') {
      state.finishReason = nameOrNull(candidate['finishReason']) ?? state.finishReason;
    }
    this.#isBlocked ||= isFiltered(candidate['safetyRatings']);
    state.spoken ||= speaks(candidate['content']);
    state.searches = searchesIn(candidate['groundingMetadata']) || state.searches;
    if (isError(candidate) || failedToFetch(candidate['urlContextMetadata'])) this.#error = true;
  }
}

/** The first is often left out, as protocol buffers do with a 0; null where it is none. */
function indexOf(candidate: JsonObject, otherwise: number): number | null {
  const index = candidate['index'] ?? otherwise;
  return Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : null;
}

/** https://ai.google.dev/api/generate-content#safetyrating */
function isFiltered(ratings: unknown): boolean {
  return Array.isArray(ratings) && ratings.some((one) => isObject(one) && one['blocked'] === true);
}

function speaks(content: unknown): boolean {
  const parts = isObject(content) ? content['parts'] : null;
  return Array.isArray(parts) && parts.some(isSaid);
}

/** A text, a call of a function, code, an image, …; not a thought or its signature alone. */
function isSaid(part: unknown): boolean {
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

/** A page that the provider could not fetch this time; one behind a paywall will not come either. */
function failedToFetch(context: unknown): boolean {
  const pages = isObject(context) ? context['urlMetadata'] : null;
  return (
    Array.isArray(pages) &&
    pages.some(
      (page) => isObject(page) && page['urlRetrievalStatus'] === 'URL_RETRIEVAL_STATUS_ERROR',
    )
  );
}
