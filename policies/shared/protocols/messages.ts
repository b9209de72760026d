import { isObject, type JsonObject, nameOrNull } from '../json.ts';
import { readUsage, UsageParts } from '../usage.ts';
import { carriesError } from './error.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Anthropic messages: https://docs.anthropic.com/en/api/messages */
export const messages: Protocol = {
  name: 'messages',
  provider: 'anthropic',
  // OpenAI's Assistants have messages too, in threads.
  matches: (path) => path.endsWith('/messages') && !path.includes('/threads/'),
  isStream: (body) => body['stream'] === true,
  isStateful: (body) => body['container'] !== undefined && body['container'] !== null,
  setsLimit: (body) => typeof body['max_tokens'] === 'number',
  complete: ['end_turn', 'tool_use', 'stop_sequence'],
  limited: ['max_tokens'],
  cacheApart: true,
  readAnswer,
  streamReader: () => new MessagesReader(),
};

function readAnswer(json: JsonObject): Reading {
  const whole = json['type'] === 'message' && Array.isArray(json['content']);
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: readUsage(json['usage']),
    fault: carriesError(json) ? 'error-in-body' : whole ? null : 'incomplete',
    finishReasons: [nameOrNull(json['stop_reason'])],
    refused: false,
  };
}

/** More than any answer has; a bound on what a stream can make its reader keep. */
const maxBlocks = 1024;

/**
 * `message_start`, blocks of content, `message_delta`, `message_stop`:
 * https://docs.anthropic.com/en/docs/build-with-claude/streaming
 */
class MessagesReader implements StreamReader {
  ended = false;
  #started = false;
  /** An event came that does not fit the order of events. */
  #disordered = false;
  #error = false;
  readonly #openBlocks = new Set<unknown>();
  #id: string | null = null;
  #model: string | null = null;
  readonly #usage = new UsageParts();
  #stopReason: string | null = null;

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    if (name === 'error' || carriesError(data)) this.#error = true;
    switch (nameOrNull(data['type']) ?? name) {
      case 'message_start':
        this.#start(data['message']);
        break;
      case 'content_block_start':
        this.#openBlock(data['index']);
        break;
      case 'content_block_stop':
        if (!this.#openBlocks.delete(data['index'])) this.#disordered = true;
        break;
      case 'message_delta':
        this.#usage.add(data['usage']);
        if (isObject(data['delta'])) {
          this.#stopReason = nameOrNull(data['delta']['stop_reason']) ?? this.#stopReason;
        }
        break;
      case 'message_stop':
        this.ended = true;
        break;
      default:
    }
    return true;
  }

  done(): boolean {
    return false;
  }

  reading(): Reading {
    const whole = this.ended && this.#started && !this.#disordered && this.#openBlocks.size === 0;
    return {
      id: this.#id,
      model: this.#model,
      usage: this.#usage.read(),
      fault: this.#error ? 'error-in-body' : whole ? null : 'incomplete',
      finishReasons: [this.#stopReason],
      refused: false,
    };
  }

  #start(message: unknown): void {
    if (!isObject(message) || this.#started) {
      this.#disordered = true;
      return;
    }
    this.#started = true;
    this.#id = nameOrNull(message['id']);
    this.#model = nameOrNull(message['model']);
    this.#usage.add(message['usage']);
  }

  #openBlock(index: unknown): void {
    const fits =
      this.#started &&
      Number.isSafeInteger(index) &&
      !this.#openBlocks.has(index) &&
      this.#openBlocks.size < maxBlocks;
    if (fits) this.#openBlocks.add(index);
    else this.#disordered = true;
  }
}
