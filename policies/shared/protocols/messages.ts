import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { UsageParts } from '../usage.ts';
import { carriesError, isError, namesError } from './error.ts';
import { expiryOf } from './expiry.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Anthropic messages: https://docs.anthropic.com/en/api/messages */
export const messages: Protocol = {
  name: 'messages',
  provider: 'anthropic',
  // OpenAI's Assistants API has messages too, in threads.
  matches: (path) => path.endsWith('/messages') && !path.includes('/threads/'),
  isStream: (body) => body['stream'] === true,
  isStateful: (body) => body['container'] !== undefined && body['container'] !== null,
  setsLimit: (body) => typeof body['max_tokens'] === 'number',
  parts: () => 1,
  complete: ['end_turn', 'tool_use', 'stop_sequence'],
  limited: ['max_tokens'],
  cacheApart: true,
  readAnswer,
  streamReader: () => new MessagesReader(),
};

function readAnswer(json: JsonObject): Reading {
  const content: unknown[] | null = Array.isArray(json['content']) ? json['content'] : null;
  const isWhole = json['type'] === 'message' && content !== null && content.every(isObject);
  const hasError = carriesError(json) || (content ?? []).some(isFailure);
  const usage = new UsageParts();
  usage.add(json['usage']);
  usage.calls({ code_execution_calls: (content ?? []).filter(runsCode).length });
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: usage.read(),
    fault: hasError ? 'error-in-body' : isWhole ? null : 'incomplete',
    finishReasons: [nameOrNull(json['stop_reason'])],
    refused: false,
    parts: null,
    // A later request may reuse the container.
    expiresAt: expiryOf(json['container']),
  };
}

/** Whether the block reports the failure of a provider-run tool or an MCP server. */
function isFailure(block: unknown): boolean {
  if (!isObject(block)) return false;
  const { content, is_error: isMcpError } = block;
  const type = isObject(content) ? content['type'] : null;
  return (
    isError(block) ||
    isMcpError === true ||
    (typeof type === 'string' && type.endsWith('_tool_result_error'))
  );
}

/** Whether the provider runs code in a container: https://docs.claude.com/en/docs/agents-and-tools/tool-use/code-execution-tool */
function runsCode(block: unknown): boolean {
  if (!isObject(block) || block['type'] !== 'server_tool_use') return false;
  return typeof block['name'] === 'string' && block['name'].endsWith('code_execution');
}

/** More blocks than any answer has; bounds the memory of the reader. */
const maxBlocks = 1024;

/**
 * Reads `message_start`, content blocks, `message_delta` and `message_stop`:
 * https://docs.anthropic.com/en/docs/build-with-claude/streaming
 */
class MessagesReader implements StreamReader {
  ended = false;
  #hasStarted = false;
  /** Whether an event came out of order. */
  #isDisordered = false;
  #hasError = false;
  #codeRuns = 0;
  #expiresAt: number | null = null;
  readonly #openBlocks = new Set<unknown>();
  #id: string | null = null;
  #model: string | null = null;
  readonly #usage = new UsageParts();
  #stopReason: string | null = null;

  event(name: string, data: JsonObject): boolean {
    if (this.ended) return false;
    if (namesError(name) || carriesError(data)) this.#hasError = true;
    switch (nameOrNull(data['type']) ?? name) {
      case 'message_start':
        this.#start(data['message']);
        break;
      case 'content_block_start':
        this.#openBlock(data['index']);
        if (isFailure(data['content_block'])) this.#hasError = true;
        if (runsCode(data['content_block'])) this.#codeRuns++;
        break;
      case 'content_block_delta':
        if (!this.#openBlocks.has(data['index'])) this.#isDisordered = true;
        break;
      case 'content_block_stop':
        if (!this.#openBlocks.delete(data['index'])) this.#isDisordered = true;
        break;
      case 'message_delta':
        this.#usage.add(data['usage']);
        if (isObject(data['delta'])) {
          this.#stopReason = nameOrNull(data['delta']['stop_reason']) ?? this.#stopReason;
          this.#expiresAt = expiryOf(data['delta']['container']) ?? this.#expiresAt;
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

  get fault(): Reading['fault'] {
    if (this.#hasError) return 'error-in-body';
    const isWhole =
      this.ended && this.#hasStarted && !this.#isDisordered && this.#openBlocks.size === 0;
    return isWhole ? null : 'incomplete';
  }

  reading(): Reading {
    this.#usage.calls({ code_execution_calls: this.#codeRuns });
    return {
      id: this.#id,
      model: this.#model,
      usage: this.#usage.read(),
      fault: this.fault,
      finishReasons: [this.#stopReason],
      refused: false,
      parts: null,
      expiresAt: this.#expiresAt,
    };
  }

  #start(message: unknown): void {
    if (!isObject(message) || this.#hasStarted) {
      this.#isDisordered = true;
      return;
    }
    this.#hasStarted = true;
    this.#id = nameOrNull(message['id']);
    this.#model = nameOrNull(message['model']);
    this.#expiresAt = expiryOf(message['container']);
    if (isError(message)) this.#hasError = true;
    this.#usage.add(message['usage']);
  }

  #openBlock(index: unknown): void {
    const fits =
      this.#hasStarted &&
      Number.isSafeInteger(index) &&
      !this.#openBlocks.has(index) &&
      this.#openBlocks.size < maxBlocks;
    if (fits) this.#openBlocks.add(index);
    else this.#isDisordered = true;
  }
}
