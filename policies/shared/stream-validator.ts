import { isObject, type JsonObject } from './json/json.ts';
import type { Reading, StreamReader } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import { type SseFault, SseReader } from './sse.ts';

/** Validates a stream while it passes: framing, payloads, and what its protocol says of them. */
export class StreamValidator {
  readonly #reader: StreamReader;
  readonly #sse: SseReader;
  #fault: RefusalReason | null = null;
  /** The body is over, and what comes now is the event that was cut off by its end. */
  #flushing = false;

  constructor(reader: StreamReader, maxBytes: number) {
    this.#reader = reader;
    const event = (name: string, data: string) => this.#found(this.#event(name, data));
    this.#sse = new SseReader(
      { event, fault: (fault) => this.#found(this.#broken(fault)) },
      maxBytes,
    );
  }

  /** The first thing found wrong until now; `incomplete` as long as there is nothing but that more is to come. */
  get fault(): RefusalReason | null {
    return this.#fault ?? this.#reader.fault;
  }

  chunk(bytes: Uint8Array): void {
    this.#sse.chunk(bytes);
  }

  end(): Reading {
    this.#flushing = true;
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
    return this.#flushing ? 'incomplete' : 'malformed';
  }

  /** A character that is cut off by the end of the body is part of an event that is. */
  #broken(fault: SseFault): RefusalReason {
    return this.#flushing && fault === 'malformed' && !this.#reader.ended ? 'incomplete' : fault;
  }

  #found(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // An error that the provider had told explains whatever came of it.
    this.#fault = this.#reader.fault === 'error-in-body' ? 'error-in-body' : fault;
  }
}

/** Null where `text` is no JSON object. */
function parseObject(text: string): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
