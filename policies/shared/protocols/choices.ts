import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { type Usage, UsageParts } from '../usage.ts';
import { isFiltered } from './azure-filter.ts';
import { carriesError, isError, isModerationError, namesError } from './error.ts';
import { expiryOf, sooner } from './expiry.ts';
import type { Reading, StreamReader } from './protocol.ts';

// What chat completions and completions have in common: answers made of numbered choices.

/** How an API puts what the model said into a choice; of a JSON answer or of a stream's chunk. */
export interface ChoiceRules {
  /** The object that has it. */
  readonly saidIn: (choice: JsonObject) => JsonObject;
  /** Whether a member of that object holds something that the model said. */
  readonly isSomething: (name: string, value: unknown) => boolean;
}

/** How many choices a request asks for, of each prompt. */
export function choicesAsked({ n }: JsonObject): number {
  return Number.isSafeInteger(n) && (n as number) > 0 ? (n as number) : 1;
}

/** More than any API gives; a bound on what a stream can make its reader keep. */
const maxChoices = 1024;

/** A JSON answer: `{id, model, choices: [{finish_reason, …}], usage}`. */
export function readChoices(json: JsonObject, rules: ChoiceRules): Reading {
  const reader = new ChoicesReader(rules, true);
  reader.event('', json);
  reader.done();
  return reader.reading();
}

interface Choice {
  finishReason: string | null;
  /** It has had something to say. */
  spoken: boolean;
  /** Moonshot tells a stream's usage in the last chunk of each choice. */
  usage: UsageParts | null;
}

/** A stream of chunks in that shape, each with the parts of some choices, ended by `[DONE]`. */
export class ChoicesReader implements StreamReader {
  ended = false;
  readonly #rules: ChoiceRules;
  /** All choices come at once, each of them whole. */
  readonly #atOnce: boolean;
  readonly #choices = new Map<number, Choice>();
  #id: string | null = null;
  #model: string | null = null;
  readonly #usage = new UsageParts();
  #error = false;
  /** A choice came that cannot be told from others, so that it is not known whether all are there. */
  #unreadable = false;
  #refused = false;
  #filtered = false;
  #expiresAt: number | null = null;
  /** Of the last chunk that had choices. */
  #lastId: string | null = null;
  #idRepeated = false;

  constructor(rules: ChoiceRules, atOnce = false) {
    this.#rules = rules;
    this.#atOnce = atOnce;
  }

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    if (namesError(name) || carriesError(data) || isModerationError(data['moderation'])) {
      this.#error = true;
    }
    this.#id ??= nameOrNull(data['id']);
    this.#model ??= nameOrNull(data['model']);
    this.#readUsage(data);
    const { prompt_filter_results: prompts } = data;
    if (Array.isArray(prompts)) for (const prompt of prompts) this.#filter(prompt);
    const choices = Array.isArray(data['choices']) ? data['choices'] : [];
    if (choices.length > 0) this.#sameAnswer(nameOrNull(data['id']));
    for (let at = 0; at < choices.length; at++) this.#read(choices[at], at);
    return true;
  }

  done(): boolean {
    if (this.ended) return false;
    this.ended = true;
    return true;
  }

  get fault(): Reading['fault'] {
    if (this.#error) return 'error-in-body';
    return this.ended && !this.#unreadable && this.#isComplete() ? null : 'incomplete';
  }

  reading(): Reading {
    const finishReasons = Array.from(this.#choices.values(), ({ finishReason }) => finishReason);
    return {
      id: this.#id,
      model: this.#model,
      usage: this.#usage.read() ?? this.#usageOfChoices(),
      fault: this.fault,
      finishReasons,
      // Where the finish reason says it, that is the reason.
      refused: this.#refused || (this.#filtered && !finishReasons.includes('content_filter')),
      parts: this.#choices.size,
      expiresAt: this.#expiresAt,
    };
  }

  /** Whether there are choices, without a gap, and each has said something. */
  #isComplete(): boolean {
    const { size } = this.#choices;
    if (size === 0) return false;
    for (const [index, { spoken }] of this.#choices) if (index >= size || !spoken) return false;
    return true;
  }

  #readUsage(data: JsonObject): void {
    const groq = data['x_groq'];
    this.#usage.add(data['usage']);
    // Groq puts a stream's usage into a member of its own.
    if (isObject(groq)) this.#usage.add(groq['usage']);
    this.#usage.tier(data['service_tier']);
  }

  #read(choice: unknown, at: number): void {
    const index = isObject(choice) ? indexOf(choice, this.#atOnce ? at : 0) : null;
    const known = index === null ? undefined : this.#choices.get(index);
    const isOneTooMany = known === undefined && this.#choices.size >= maxChoices;
    const isTwice = known !== undefined && this.#atOnce;
    if (!isObject(choice) || index === null || isOneTooMany || isTwice) {
      this.#unreadable = true;
      return;
    }
    const state = known ?? { finishReason: null, spoken: false, usage: null };
    if (known === undefined) this.#choices.set(index, state);
    // Azure's filter may have its say on a choice that had stopped; what it took does not come back.
    if (state.finishReason === null || goodEnds.has(state.finishReason)) {
      state.finishReason = finishReasonOf(choice) ?? state.finishReason;
    }
    const said = this.#rules.saidIn(choice);
    state.spoken ||= this.#speaks(said);
    if (isObject(choice['usage'])) (state.usage ??= new UsageParts()).add(choice['usage']);
    const { tool_calls: calls } = said;
    const hasFailed = isError(choice) || isError(said);
    if (hasFailed || (Array.isArray(calls) && calls.some(isError))) this.#error = true;
    if (typeof said['refusal'] === 'string' && said['refusal'] !== '') this.#refused = true;
    this.#filter(choice);
    // Most do not tell how often they have searched: at least once.
    if (citesPage(said['annotations'])) this.#usage.calls({ web_search_requests: 1 });
    // A later request may name the voice by its id.
    if (isObject(said['audio'])) {
      this.#expiresAt = sooner(this.#expiresAt, expiryOf(said['audio']));
    }
  }

  #speaks(said: JsonObject): boolean {
    return Object.keys(said).some((name) => this.#rules.isSomething(name, said[name]));
  }

  /** What Azure's content filter says of the prompt or of a choice. */
  #filter(part: unknown): void {
    const filtered = isFiltered(part);
    if (filtered === 'error') this.#error = true;
    else if (filtered) this.#filtered = true;
  }

  /**
   * Finds two answers that were put together to one: an id that had come more than once gives way to
   * another. Some servers give each chunk an id of its own.
   */
  #sameAnswer(id: string | null): void {
    if (id === null) return;
    if (id === this.#lastId) this.#idRepeated = true;
    else if (this.#idRepeated) this.#unreadable = true;
    this.#lastId = id;
  }

  /** Each choice tells the input, which is one, and its own output. */
  #usageOfChoices(): Usage | null {
    const told = Array.from(this.#choices.values(), ({ usage }) => usage?.read() ?? null);
    const all = told.filter((usage) => usage !== null);
    const [first] = all;
    if (first === undefined || all.length === 1) return first ?? null;
    const output = all.reduce((sum, { outputTokens }) => sum + (outputTokens ?? 0), 0);
    return { ...first, outputTokens: output, totalTokens: (first.inputTokens ?? 0) + output };
  }
}

/** OpenRouter takes what it does not know for a stop, and tells the provider's own word beside it. */
function finishReasonOf(choice: JsonObject): string | null {
  const native = nameOrNull(choice['native_finish_reason']);
  if (native !== null && nativeFailure.test(native)) return native;
  return nameOrNull(choice['finish_reason']);
}

const goodEnds: ReadonlySet<string> = new Set(['stop', 'tool_calls', 'function_call']);

const nativeFailure = /error|safety|filter|block|recitation|prohibited|spii|malformed|refus/i;

/** Some leave the index out; null where it is none. */
function indexOf(choice: JsonObject, otherwise: number): number | null {
  const index = choice['index'] ?? otherwise;
  return Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : null;
}

function citesPage(annotations: unknown): boolean {
  return Array.isArray(annotations) && annotations.some(isUrlCitation);
}

function isUrlCitation(annotation: unknown): boolean {
  return isObject(annotation) && annotation['type'] === 'url_citation';
}
