import { isObject, type JsonObject } from './json.ts';
import type { Reading, StreamReader } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import { SseReader } from './sse.ts';

/** An answer but for its bytes, as far as it was read. */
export interface Known extends Omit<Reading, 'fault'> {
  /** The first thing found wrong with it; null where nothing was. */
  readonly fault: RefusalReason | null;
}

/** Judges a stream while it passes: framing, payloads, and what its protocol says of them. */
export class StreamJudge {
  readonly #reader: StreamReader;
  readonly #sse: SseReader;
  #fault: RefusalReason | null = null;
  /** The body is over, and what comes now is the event that was cut off by its end. */
  #flushing = false;

  constructor(reader: StreamReader, maxBytes: number) {
    this.#reader = reader;
    this.#sse = new SseReader(
      (name, data) => this.#found(this.#event(name, data)),
      () => this.#found('too-large'),
      maxBytes,
    );
  }

  /** Returns the first thing found wrong until now. */
  chunk(bytes: Uint8Array): RefusalReason | null {
    this.#sse.chunk(bytes);
    return this.#fault;
  }

  end(): Known {
    this.#flushing = true;
    this.#sse.end();
    return this.reading();
  }

  reading(): Known {
    const reading = this.#reader.reading();
    return { ...reading, fault: this.#fault ?? reading.fault };
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

  #found(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // An error that the provider had told explains whatever came of it.
    const told = this.#reader.reading().fault === 'error-in-body';
    this.#fault = told ? 'error-in-body' : fault;
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
