import { isObject, type JsonObject, nameOrNull } from '../json.ts';
import { readUsage, type Usage } from '../usage.ts';
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
  readAnswer,
  streamReader: () => new MessagesReader(),
};

function readAnswer(json: JsonObject): Reading {
  const whole = json['type'] === 'message' && Array.isArray(json['content']);
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: readUsage(json['usage']),
    fault:
      carriesError(json) || json['type'] === 'error'
        ? 'error-in-body'
        : whole
          ? null
          : 'incomplete',
    finishReasons: [nameOrNull(json['stop_reason'])],
    refused: false,
  };
}

/** `message_start`, blocks of content, `message_delta`, `message_stop`: https://docs.anthropic.com/en/docs/build-with-claude/streaming */
class MessagesReader implements StreamReader {
  ended = false;
  #started = false;
  #openBlocks = 0;
  #error = false;
  #id: string | null = null;
  #model: string | null = null;
  #usage: JsonObject = {};
  #stopReason: string | null = null;

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    switch (nameOrNull(data['type']) ?? name) {
      case 'message_start':
        this.#start(data['message']);
        break;
      case 'content_block_start':
        this.#openBlocks++;
        break;
      case 'content_block_stop':
        this.#openBlocks--;
        break;
      case 'message_delta':
        this.#merge(data['usage']);
        if (isObject(data['delta'])) {
          this.#stopReason = nameOrNull(data['delta']['stop_reason']) ?? this.#stopReason;
        }
        break;
      case 'message_stop':
        this.ended = true;
        break;
      case 'error':
        this.#error = true;
        break;
      default:
        if (carriesError(data)) this.#error = true;
    }
    return true;
  }

  done(): boolean {
    return false;
  }

  reading(): Reading {
    const whole = this.ended && this.#started && this.#openBlocks === 0;
    const usage: Usage | null = readUsage(this.#usage);
    return {
      id: this.#id,
      model: this.#model,
      usage,
      fault: this.#error ? 'error-in-body' : whole ? null : 'incomplete',
      finishReasons: [this.#stopReason],
      refused: false,
    };
  }

  #start(message: unknown): void {
    if (!isObject(message)) return;
    this.#started = true;
    this.#id = nameOrNull(message['id']);
    this.#model = nameOrNull(message['model']);
    this.#merge(message['usage']);
  }

  /** Counts are cumulative: what comes later replaces what came before, where it says something. */
  #merge(usage: unknown): void {
    if (!isObject(usage)) return;
    const said = Object.entries(usage).filter(([, value]) => value !== null);
    this.#usage = { ...this.#usage, ...Object.fromEntries(said) };
  }
}
