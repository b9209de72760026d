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
  const isWhole =
    json['object'] === 'response' &&
    json['status'] === 'completed' &&
    !isSet(json['incomplete_details']) &&
    output.isWhole &&
    output.hasAnswer;
  const filtered = filteredIn(json['content_filters']);
  const isUnchecked = filtered === 'error' || isModerationError(json['moderation']);
  const hasError = carriesError(json) || output.hasError || isUnchecked;
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usageOf(json, output),
    fault: hasError ? 'error-in-body' : isWhole ? null : 'incomplete',
    finishReasons: [],
    refused: output.isRefusal || filtered === true,
    parts: null,
    expiresAt: null,
  };
}

/** Reads Azure's list of filter results, for the prompt and each part of the output. */
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

/** The output items of a response: messages, reasoning and tool calls. */
class Output {
  isWhole = true;
  /** Whether there is more than reasoning; an answer of reasoning alone is a known failure. */
  hasAnswer = false;
  hasError = false;
  isRefusal = false;
  /** The number of calls of each tool that the provider charges for, by its name in `detailNames`. */
  readonly calls: Record<string, number> = {};

  constructor(items: unknown = []) {
    if (Array.isArray(items)) for (const item of items) this.add(item);
  }

  add(item: unknown): void {
    if (!isObject(item)) return void (this.isWhole = false);
    const { status, content } = item;
    if (isError(item) || status === 'failed') this.hasError = true;
    if (typeof status === 'string' && unfinished.has(status)) this.isWhole = false;
    // A message refuses in a content part of its own type.
    const parts: unknown[] = Array.isArray(content) ? content : [];
    if (parts.some((part) => isObject(part) && part['type'] === 'refusal')) this.isRefusal = true;
    if (parts.some(isError)) this.hasError = true;
    this.hasAnswer ||= item['type'] !== 'reasoning';
    const name = chargedCall(item);
    if (name !== null) this.calls[name] = (this.calls[name] ?? 0) + 1;
  }
}

const unfinished: ReadonlySet<string> = new Set(['incomplete', 'in_progress', 'cancelled']);

/**
 * Returns the name of the detail that counts this call; null if the call is free. For built-in tools:
 * https://platform.openai.com/docs/pricing
 */
function chargedCall({ type, action }: JsonObject): string | null {
  switch (type) {
    case 'web_search_call':
      // Opening a page that was found is free.
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
 * Reads the events of a response's life cycle, each with the response so far, and of its output items:
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
class ResponsesReader implements StreamReader {
  ended = false;
  #isDone = false;
  #hasError = false;
  #isRefused = false;
  #isCreated = false;
  /** Whether the stream has two responses. */
  #isMixed = false;
  /** The items as they came, because some servers omit them in the last event. */
  readonly #items = new Output();
  /** The reading of the last life-cycle event. */
  #last: Reading = readResponse({}, this.#items);

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    const type = nameOrNull(data['type']) ?? name;
    if (namesError(name) || namesError(type) || carriesError(data)) this.#hasError = true;
    if (type.startsWith('response.refusal.')) this.#isRefused = true;
    if (type === 'response.output_item.done') this.#items.add(data['item']);
    // Some servers send deltas but no items.
    if (type.endsWith('.delta') && !type.includes('reasoning')) this.#items.hasAnswer = true;
    if (type === 'response.created') {
      this.#isMixed ||= this.#isCreated;
      this.#isCreated = true;
    }
    if (isObject(data['response'])) this.#readLifeCycle(data['response']);
    if (type === 'response.completed') this.ended = true;
    return true;
  }

  /** Some servers send `[DONE]` after `response.completed`. */
  done(): boolean {
    if (this.#isDone || !this.ended) return false;
    this.#isDone = true;
    return true;
  }

  get fault(): Reading['fault'] {
    if (this.#hasError) return 'error-in-body';
    return this.ended && !this.#isMixed ? this.#last.fault : 'incomplete';
  }

  reading(): Reading {
    return { ...this.#last, fault: this.fault, refused: this.#isRefused || this.#last.refused };
  }

  #readLifeCycle(response: JsonObject): void {
    const { output } = response;
    const hasItems = Array.isArray(output) && output.length > 0;
    this.#last = readResponse(response, hasItems ? new Output(output) : this.#items);
  }
}
