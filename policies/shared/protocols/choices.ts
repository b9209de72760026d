import { isObject, type JsonObject, nameOrNull } from '../json.ts';
import { readUsage, type Usage } from '../usage.ts';
import { carriesError } from './error.ts';
import type { Reading, StreamReader } from './protocol.ts';

// What chat completions and completions have in common: answers made of numbered choices.

/** What an API puts into one choice, besides its finish reason. */
export interface ChoiceRules {
  /** Whether a choice of a JSON answer has what it must have. */
  readonly isWhole: (choice: JsonObject) => boolean;
  /** Whether the model refuses in it; of a JSON answer or of a stream's chunk. */
  readonly refuses: (choice: JsonObject) => boolean;
}

/** More than any API gives; a bound on what a stream can make its reader keep. */
const maxChoices = 1024;

/** A JSON answer: `{id, model, choices: [{finish_reason, …}], usage}`. */
export function readChoices(json: JsonObject, rules: ChoiceRules): Reading {
  const choices = Array.isArray(json['choices']) ? json['choices'] : [];
  const whole = choices.length > 0 && choices.every((one) => isObject(one) && rules.isWhole(one));
  const objects = choices.filter(isObject);
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usageOf(json),
    fault: carriesError(json) ? 'error-in-body' : whole ? null : 'incomplete',
    finishReasons: objects.map((one) => nameOrNull(one['finish_reason'])),
    refused: objects.some(rules.refuses),
  };
}

/** A stream of chunks in that shape, each with the parts of some choices, ended by `[DONE]`. */
export class ChoicesReader implements StreamReader {
  ended = false;
  readonly #rules: ChoiceRules;
  readonly #finishReasons = new Map<number, string | null>();
  #id: string | null = null;
  #model: string | null = null;
  #usage: Usage | null = null;
  #error = false;
  /** A choice came that cannot be read, so nobody knows whether all are there. */
  #unreadable = false;
  #refused = false;

  constructor(rules: ChoiceRules) {
    this.#rules = rules;
  }

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    if (name === 'error' || carriesError(data)) this.#error = true;
    this.#id ??= nameOrNull(data['id']);
    this.#model ??= nameOrNull(data['model']);
    this.#usage = usageOf(data) ?? this.#usage;
    for (const choice of Array.isArray(data['choices']) ? data['choices'] : [])
      this.#choice(choice);
    return true;
  }

  done(): boolean {
    if (this.ended) return false;
    this.ended = true;
    return true;
  }

  reading(): Reading {
    const whole = this.ended && !this.#unreadable && this.#finishReasons.size > 0;
    return {
      id: this.#id,
      model: this.#model,
      usage: this.#usage,
      fault: this.#error ? 'error-in-body' : whole ? null : 'incomplete',
      finishReasons: [...this.#finishReasons.values()],
      refused: this.#refused,
    };
  }

  #choice(choice: unknown): void {
    const index = isObject(choice) ? indexOf(choice) : null;
    const before = index === null ? undefined : this.#finishReasons.get(index);
    const isOneTooMany = before === undefined && this.#finishReasons.size >= maxChoices;
    if (!isObject(choice) || index === null || isOneTooMany) {
      this.#unreadable = true;
      return;
    }
    // Azure's filter may have its say on a choice that had stopped: the last word counts.
    this.#finishReasons.set(index, nameOrNull(choice['finish_reason']) ?? before ?? null);
    if (this.#rules.refuses(choice)) this.#refused = true;
  }
}

/** Some leave the first choice's index out; null where it is no index. */
function indexOf(choice: JsonObject): number | null {
  const index = choice['index'] ?? 0;
  return Number.isSafeInteger(index) && (index as number) >= 0 ? (index as number) : null;
}

/** Groq puts a stream's usage into a member of its own. */
function usageOf(json: JsonObject): Usage | null {
  const groq = json['x_groq'];
  return readUsage(json['usage']) ?? (isObject(groq) ? readUsage(groq['usage']) : null);
}
