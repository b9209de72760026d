import { createParser, type EventSourceParser } from 'eventsource-parser';

export interface SseHandlers {
  /** Called with each event: its name (empty without one) and its data. */
  readonly event: (name: string, data: string) => void;
  /** Called with a fault outside of events. Reading goes on after it. */
  readonly fault: (fault: SseFault) => void;
}

export type SseFault =
  /** An event was longer than `maxSize` characters and was dropped. */
  | 'too-large'
  /** Bytes that are not UTF-8, or a line that does not belong in an event stream. */
  | 'malformed'
  /** A field named `error` or the like, which the specification lacks but some servers write. */
  | 'error-in-body';

/** An unknown field with such a name is ignored, as the specification requires. */
const fieldName = /^[a-z][\w-]*$/i;
const failureField = /^(?:errors?|exception|failure|fatal|detail)$/i;

/**
 * Splits a stream into events, chunk by chunk, with bounded memory. Framing only:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseReader {
  readonly #parser: EventSourceParser;
  readonly #handlers: SseHandlers;
  /** Strips a byte order mark, as the specification requires. */
  #decoder = new TextDecoder('utf-8', { fatal: true });

  constructor(handlers: SseHandlers, maxSize: number) {
    this.#handlers = handlers;
    this.#parser = createParser({
      maxBufferSize: maxSize,
      onEvent: ({ event, data }) => handlers.event(event ?? '', data),
      onError: ({ type, field }) => {
        if (type === 'unknown-field') return this.#unknownField(field ?? '');
        if (type !== 'max-buffer-size-exceeded') return;
        // Without a reset the parser throws at the next chunk. The rest of the line is not a field.
        this.#parser.reset();
        handlers.fault('too-large');
      },
    });
  }

  chunk(bytes: Uint8Array): void {
    this.#parser.feed(this.#decode(bytes));
  }

  /** Ends the stream. An event without its last line end or blank line counts, too. */
  end(): void {
    this.#parser.feed(`${this.#decode()}\n\n`);
  }

  #decode(bytes?: Uint8Array): string {
    const more = { stream: bytes !== undefined };
    try {
      return this.#decoder.decode(bytes, more);
    } catch {
      this.#handlers.fault('malformed');
      // Replace invalid bytes from here on, because usage may still come.
      this.#decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      return bytes === undefined ? '\uFFFD' : this.#decoder.decode(bytes, more);
    }
  }

  /** A failing proxy or server writes plain text or JSON where the lines of fields belong. */
  #unknownField(field: string): void {
    if (failureField.test(field)) this.#handlers.fault('error-in-body');
    else if (!fieldName.test(field)) this.#handlers.fault('malformed');
  }
}
