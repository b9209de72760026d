import { isObject, type JsonObject, nameOrNull } from '../json.ts';
import { type Usage, UsageParts } from '../usage.ts';
import { isFiltered } from './azure-filter.ts';
import { carriesError, isError, isModerationError } from './error.ts';
import { sooner } from './expiry.ts';
import type { AnswerFault, Reading, StreamReader } from './protocol.ts';

// What chat completions and completions have in common: answers made of numbered choices.

/** What an API puts into one choice, besides its finish reason; of a JSON answer or of a stream's chunk. */
export interface ChoiceRules {
  /** Whether it has what the model said, or some of it. */
  readonly speaks: (choice: JsonObject) => boolean;
  /** Whether the model refuses in it. */
  readonly refuses: (choice: JsonObject) => boolean;
  /** Whether it has an error in a member of the API's own. */
  readonly fails: (choice: JsonObject) => boolean;
  /** Whether it cites what a search of the web has found. */
  readonly cites: (choice: JsonObject) => boolean;
  /** When what it names at the provider is gone; null where it names nothing. */
  readonly expiry: (choice: JsonObject) => number | null;
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
  /** A choice came that cannot be told from others, so nobody knows whether all are there. */
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
    if (name === 'error' || carriesError(data) || isModerationError(data['moderation'])) {
      this.#error = true;
    }
    this.#id ??= nameOrNull(data['id']);
    this.#model ??= nameOrNull(data['model']);
    this.#readUsage(data);
    this.#filter(data['prompt_filter_results']);
    const choices = Array.isArray(data['choices']) ? data['choices'] : [];
    if (choices.length > 0) this.#sameAnswer(nameOrNull(data['id']));
    for (const [at, choice] of choices.entries()) this.#read(choice, at);
    return true;
  }

  done(): boolean {
    if (this.ended) return false;
    this.ended = true;
    return true;
  }

  get fault(): AnswerFault {
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
    // Azure's filter may have its say on a choice that had stopped: the last word counts.
    state.finishReason = nameOrNull(choice['finish_reason']) ?? state.finishReason;
    state.spoken ||= this.#rules.speaks(choice);
    if (isObject(choice['usage'])) (state.usage ??= new UsageParts()).add(choice['usage']);
    if (isError(choice) || this.#rules.fails(choice)) this.#error = true;
    if (this.#rules.refuses(choice)) this.#refused = true;
    // Most do not tell how often they have searched: at least once.
    if (this.#rules.cites(choice)) this.#usage.calls({ web_search_requests: 1 });
    this.#filter([choice]);
    this.#expiresAt = sooner(this.#expiresAt, this.#rules.expiry(choice));
  }

  /** What Azure's content filter says of the prompt or of a choice. */
  #filter(results: unknown): void {
    if (!Array.isArray(results)) return;
    for (const result of results) {
      const filtered = isFiltered(result);
      if (filtered === 'error') this.#error = true;
      if (filtered === true) this.#filtered = true;
    }
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

/** Some leave the index out; null where it is none. */
function indexOf(choice: JsonObject, otherwise: number): number | null {
  const index = choice['index'] ?? otherwise;
  return Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : null;
}
