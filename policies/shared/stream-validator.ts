import { isObject, type JsonObject } from './json/json.ts';
import type { Reading, StreamReader } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import { type SseFault, SseReader } from './sse.ts';

/** Validates a stream while it passes: its framing, its payloads and the rules of its protocol. */
export class StreamValidator {
  readonly #reader: StreamReader;
  readonly #sse: SseReader;
  #fault: RefusalReason | null = null;
  /** True once the body has ended: the parser now emits the event that the end cut off. */
  #isFlushing = false;

  constructor(reader: StreamReader, maxBytes: number) {
    this.#reader = reader;
    const event = (name: string, data: string) => this.#noteFault(this.#event(name, data));
    this.#sse = new SseReader(
      { event, fault: (fault) => this.#noteFault(this.#framingFault(fault)) },
      maxBytes,
    );
  }

  /** The first fault so far; `incomplete` while the stream is sound but has not ended. */
  get fault(): RefusalReason | null {
    return this.#fault ?? this.#reader.fault;
  }

  chunk(bytes: Uint8Array): void {
    this.#sse.chunk(bytes);
  }

  end(): Reading {
    this.#isFlushing = true;
    this.#sse.end();
    return this.reading();
  }

  reading(): Reading {
    return { ...this.#reader.reading(), fault: this.fault };
  }

  #event(name: string, data: string): RefusalReason | null {
    if (data === '[DONE]') {
      if (this.#reader.done()) return null;
      return this.#reader.ended ? 'after-ending' : 'malformed';
    }
    const payload = parseObject(data);
    if (payload !== null) return this.#reader.event(name, payload) ? null : 'after-ending';
    if (this.#reader.ended) return 'after-ending';
    return this.#isFlushing ? 'incomplete' : 'malformed';
  }

  /** A character that the end of the body cuts off means that the last event is cut off. */
  #framingFault(fault: SseFault): RefusalReason {
    return this.#isFlushing && fault === 'malformed' && !this.#reader.ended ? 'incomplete' : fault;
  }

  #noteFault(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // An error that the provider reported explains any later fault.
    this.#fault = this.#reader.fault === 'error-in-body' ? 'error-in-body' : fault;
  }
}

/** Returns null if `text` is not a JSON object. */
function parseObject(text: string): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
