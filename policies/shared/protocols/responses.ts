import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { type Usage, UsageParts } from '../usage.ts';
import { isFiltered } from './azure-filter.ts';
import { carriesError, isError, isModerationError, namesError } from './error.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Responses: https://platform.openai.com/docs/api-reference/responses */
export const responses: Protocol = {
  name: 'responses',
  provider: 'openai',
  matches: (path) => path.endsWith('/responses'),
  isStream: (body) => body['stream'] === true,
  isStateful: (body) => body['background'] === true || isSet(body['conversation']),
  setsLimit: (body) => typeof body['max_output_tokens'] === 'number',
  parts: () => 1,
  complete: [],
  limited: [],
  cacheApart: false,
  readAnswer: (json) => readResponse(json, new Output(json['output'])),
  streamReader: () => new ResponsesReader(),
};

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function readResponse(json: JsonObject, output: Output): Reading {
  const whole =
    json['object'] === 'response' &&
    json['status'] === 'completed' &&
    !isSet(json['incomplete_details']) &&
    output.isWhole &&
    output.speaks;
  const filtered = filteredIn(json['content_filters']);
  const isUnchecked = filtered === 'error' || isModerationError(json['moderation']);
  const fails = carriesError(json) || output.fails || isUnchecked;
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usageOf(json, output),
    fault: fails ? 'error-in-body' : whole ? null : 'incomplete',
    finishReasons: [],
    refused: output.refuses || filtered === true,
    parts: null,
    expiresAt: null,
  };
}

/** Azure has a list of what its filter says, with the prompt and each part of the output in it. */
function filteredIn(filters: unknown): boolean | 'error' {
  const all = Array.isArray(filters) ? filters.filter(isObject) : [];
  const found = new Set(all.map((one) => one['blocked'] === true || isFiltered(one)));
  return found.has('error') ? 'error' : found.has(true);
}

function usageOf(json: JsonObject, output: Output): Usage | null {
  const parts = new UsageParts();
  parts.add(json['usage']);
  parts.tier(json['service_tier']);
  parts.calls(output.calls);
  return parts.read();
}

/** The items that a response is made of: what the model said, and the tools that it called. */
class Output {
  isWhole = true;
  /** There is more than reasoning in it: an answer that is nothing else is a known failure. */
  speaks = false;
  fails = false;
  refuses = false;
  /** Calls of tools that the provider runs and charges for, under their names in `detailNames`. */
  readonly calls: Record<string, number> = {};

  constructor(items: unknown = []) {
    if (Array.isArray(items)) for (const item of items) this.add(item);
  }

  add(item: unknown): void {
    if (!isObject(item)) return void (this.isWhole = false);
    const { status, content } = item;
    if (isError(item) || status === 'failed') this.fails = true;
    if (typeof status === 'string' && unfinished.has(status)) this.isWhole = false;
    // A message whose content has a part of that type.
    const parts: unknown[] = Array.isArray(content) ? content : [];
    if (parts.some((part) => isObject(part) && part['type'] === 'refusal')) this.refuses = true;
    if (parts.some(isError)) this.fails = true;
    this.speaks ||= item['type'] !== 'reasoning';
    const name = chargedCall(item);
    if (name !== null) this.calls[name] = (this.calls[name] ?? 0) + 1;
  }
}

const unfinished: ReadonlySet<string> = new Set(['incomplete', 'in_progress', 'cancelled']);

/** https://platform.openai.com/docs/pricing, built-in tools */
function chargedCall({ type, action }: JsonObject): string | null {
  switch (type) {
    case 'web_search_call':
      // Looking into what was found costs nothing.
      return isObject(action) && isSet(action['type']) && action['type'] !== 'search'
        ? null
        : 'web_search_requests';
    case 'file_search_call':
      return 'file_search_calls';
    case 'code_interpreter_call':
      return 'code_execution_calls';
    case 'image_generation_call':
      return 'image_generation_calls';
    default:
      return null;
  }
}

/**
 * Events of a response's life cycle, each with the response as far as it is, and what it is made of:
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
class ResponsesReader implements StreamReader {
  ended = false;
  #done = false;
  #error = false;
  #refused = false;
  #created = false;
  /** Two responses in one stream. */
  #mixed = false;
  /** The items as they came; some servers leave them out of the last event. */
  readonly #items = new Output();
  /** As the last event of the life cycle tells it. */
  #last: Reading = readResponse({}, this.#items);

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    const type = nameOrNull(data['type']) ?? name;
    if (namesError(name) || namesError(type) || carriesError(data)) this.#error = true;
    if (type.startsWith('response.refusal.')) this.#refused = true;
    if (type === 'response.output_item.done') this.#items.add(data['item']);
    // Some servers send no items at all.
    if (type.endsWith('.delta') && !type.includes('reasoning')) this.#items.speaks = true;
    if (type === 'response.created') {
      this.#mixed ||= this.#created;
      this.#created = true;
    }
    if (isObject(data['response'])) this.#lifeCycle(data['response']);
    if (type === 'response.completed') this.ended = true;
    return true;
  }

  /** Some send it behind `response.completed`. */
  done(): boolean {
    if (this.#done || !this.ended) return false;
    this.#done = true;
    return true;
  }

  get fault(): Reading['fault'] {
    if (this.#error) return 'error-in-body';
    return this.ended && !this.#mixed ? this.#last.fault : 'incomplete';
  }

  reading(): Reading {
    return { ...this.#last, fault: this.fault, refused: this.#refused || this.#last.refused };
  }

  #lifeCycle(response: JsonObject): void {
    const { output } = response;
    const hasItems = Array.isArray(output) && output.length > 0;
    this.#last = readResponse(response, hasItems ? new Output(output) : this.#items);
  }
}
