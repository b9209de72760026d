import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { type Usage, UsageParts } from '../usage.ts';
import { isFiltered } from './azure-filter.ts';
import { carriesError, isError, isModerationError, namesError } from './error.ts';
import { expiryOf, sooner } from './expiry.ts';
import type { Reading, StreamReader } from './protocol.ts';

// Shared by chat completions and completions, whose answers consist of numbered choices.

/** How a choice, of a JSON answer or of a stream's chunk, holds the model's output. */
export interface ChoiceRules {
  /** Returns the object that holds the output. */
  readonly outputOf: (choice: JsonObject) => JsonObject;
  /** Whether a member of that object holds output of the model. */
  readonly isOutput: (name: string, value: unknown) => boolean;
}

/** Returns how many choices a request asks for, for each prompt. */
export function choicesRequested({ n }: JsonObject): number {
  return Number.isSafeInteger(n) && (n as number) > 0 ? (n as number) : 1;
}

/** More choices than any API returns; bounds the memory of the reader. */
const maxChoices = 1024;

/** Reads a JSON answer: `{id, model, choices: [{finish_reason, …}], usage}`. */
export function readChoices(json: JsonObject, rules: ChoiceRules): Reading {
  const reader = new ChoicesReader(rules, true);
  reader.event('', json);
  reader.done();
  return reader.reading();
}

interface Choice {
  finishReason: string | null;
  /** Whether the choice has any output. */
  hasOutput: boolean;
  /** Moonshot sends a stream's usage in the last chunk of each choice. */
  usage: UsageParts | null;
}

/** Reads a stream of such chunks, each with parts of some choices. `[DONE]` ends it. */
export class ChoicesReader implements StreamReader {
  ended = false;
  readonly #rules: ChoiceRules;
  /** Whether all choices come at once, each of them whole. */
  readonly #atOnce: boolean;
  readonly #choices = new Map<number, Choice>();
  #id: string | null = null;
  #model: string | null = null;
  readonly #usage = new UsageParts();
  #hasError = false;
  /** A choice or chunk could not be attributed, so the answer may be incomplete. */
  #isUnreadable = false;
  #isRefused = false;
  #isFiltered = false;
  #expiresAt: number | null = null;
  /** The id of the last chunk that had choices. */
  #lastId: string | null = null;
  #hasIdRepeated = false;

  constructor(rules: ChoiceRules, atOnce = false) {
    this.#rules = rules;
    this.#atOnce = atOnce;
  }

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    if (namesError(name) || carriesError(data) || isModerationError(data['moderation'])) {
      this.#hasError = true;
    }
    this.#id ??= nameOrNull(data['id']);
    this.#model ??= nameOrNull(data['model']);
    this.#readUsage(data);
    const { prompt_filter_results: prompts } = data;
    if (Array.isArray(prompts)) for (const prompt of prompts) this.#noteFilter(prompt);
    const choices = Array.isArray(data['choices']) ? data['choices'] : [];
    if (choices.length > 0) this.#checkId(nameOrNull(data['id']));
    for (let at = 0; at < choices.length; at++) this.#read(choices[at], at);
    return true;
  }

  done(): boolean {
    if (this.ended) return false;
    this.ended = true;
    return true;
  }

  get fault(): Reading['fault'] {
    if (this.#hasError) return 'error-in-body';
    return this.ended && !this.#isUnreadable && this.#isComplete() ? null : 'incomplete';
  }

  reading(): Reading {
    const finishReasons = Array.from(this.#choices.values(), ({ finishReason }) => finishReason);
    return {
      id: this.#id,
      model: this.#model,
      usage: this.#usage.read() ?? this.#usageOfChoices(),
      fault: this.fault,
      finishReasons,
      // A `content_filter` finish reason already explains why the answer is not stored.
      refused: this.#isRefused || (this.#isFiltered && !finishReasons.includes('content_filter')),
      parts: this.#choices.size,
      expiresAt: this.#expiresAt,
    };
  }

  /** Whether there are choices, their indexes have no gap, and each has output. */
  #isComplete(): boolean {
    const { size } = this.#choices;
    if (size === 0) return false;
    for (const [index, { hasOutput }] of this.#choices)
      if (index >= size || !hasOutput) return false;
    return true;
  }

  #readUsage(data: JsonObject): void {
    const groq = data['x_groq'];
    this.#usage.add(data['usage']);
    // Groq sends a stream's usage in a member of its own.
    if (isObject(groq)) this.#usage.add(groq['usage']);
    this.#usage.tier(data['service_tier']);
  }

  #read(choice: unknown, at: number): void {
    const index = isObject(choice) ? indexOf(choice, this.#atOnce ? at : 0) : null;
    const known = index === null ? undefined : this.#choices.get(index);
    const isExcess = known === undefined && this.#choices.size >= maxChoices;
    const isDuplicate = known !== undefined && this.#atOnce;
    if (!isObject(choice) || index === null || isExcess || isDuplicate) {
      this.#isUnreadable = true;
      return;
    }
    const state = known ?? { finishReason: null, hasOutput: false, usage: null };
    if (known === undefined) this.#choices.set(index, state);
    // Azure's filter may change a good finish reason later; a bad one is final.
    if (state.finishReason === null || goodReasons.has(state.finishReason)) {
      state.finishReason = finishReasonOf(choice) ?? state.finishReason;
    }
    const output = this.#rules.outputOf(choice);
    state.hasOutput ||= this.#hasOutput(output);
    if (isObject(choice['usage'])) (state.usage ??= new UsageParts()).add(choice['usage']);
    const { tool_calls: calls } = output;
    const hasFailed = isError(choice) || isError(output);
    if (hasFailed || (Array.isArray(calls) && calls.some(isError))) this.#hasError = true;
    if (typeof output['refusal'] === 'string' && output['refusal'] !== '') this.#isRefused = true;
    this.#noteFilter(choice);
    // A citation means at least one search; most providers send no count.
    if (citesPage(output['annotations'])) this.#usage.calls({ web_search_requests: 1 });
    // A later request may refer to the voice by its id.
    if (isObject(output['audio'])) {
      this.#expiresAt = sooner(this.#expiresAt, expiryOf(output['audio']));
    }
  }

  #hasOutput(output: JsonObject): boolean {
    return Object.keys(output).some((name) => this.#rules.isOutput(name, output[name]));
  }

  /** Notes what Azure's content filter reports on the prompt or a choice. */
  #noteFilter(part: unknown): void {
    const filtered = isFiltered(part);
    if (filtered === 'error') this.#hasError = true;
    else if (filtered) this.#isFiltered = true;
  }

  /**
   * Detects two answers in one stream: an id that has come more than once changes. A changing id alone
   * is no sign, because some servers give each chunk its own.
   */
  #checkId(id: string | null): void {
    if (id === null) return;
    if (id === this.#lastId) this.#hasIdRepeated = true;
    else if (this.#hasIdRepeated) this.#isUnreadable = true;
    this.#lastId = id;
  }

  /** Sums usage that comes per choice: each states the same input, and its own output. */
  #usageOfChoices(): Usage | null {
    const usages = Array.from(this.#choices.values(), ({ usage }) => usage?.read() ?? null);
    const all = usages.filter((usage) => usage !== null);
    const [first] = all;
    if (first === undefined || all.length === 1) return first ?? null;
    const output = all.reduce((sum, { outputTokens }) => sum + (outputTokens ?? 0), 0);
    return { ...first, outputTokens: output, totalTokens: (first.inputTokens ?? 0) + output };
  }
}

/** OpenRouter maps unknown reasons to `stop`, but adds the provider's own in `native_finish_reason`. */
function finishReasonOf(choice: JsonObject): string | null {
  const native = nameOrNull(choice['native_finish_reason']);
  if (native !== null && nativeFailure.test(native)) return native;
  return nameOrNull(choice['finish_reason']);
}

const goodReasons: ReadonlySet<string> = new Set(['stop', 'tool_calls', 'function_call']);

const nativeFailure = /error|safety|filter|block|recitation|prohibited|spii|malformed|refus/i;

/** Returns the index, which some providers omit; null if it is invalid. */
function indexOf(choice: JsonObject, fallback: number): number | null {
  const index = choice['index'] ?? fallback;
  return Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : null;
}

function citesPage(annotations: unknown): boolean {
  return Array.isArray(annotations) && annotations.some(isUrlCitation);
}

function isUrlCitation(annotation: unknown): boolean {
  return isObject(annotation) && annotation['type'] === 'url_citation';
}
