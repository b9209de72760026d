import { createParser, type EventSourceParser } from 'eventsource-parser';

export interface SseHandlers {
  /** An event, with its name (empty without one) and its data. */
  readonly event: (name: string, data: string) => void;
  /** Something in the stream that no event tells of. Reading goes on behind it. */
  readonly fault: (fault: SseFault) => void;
}

export type SseFault =
  /** An event is not over after `maxSize` characters, and was dropped. */
  | 'too-large'
  /** Bytes that are not UTF-8, or a line that is none of an event stream. */
  | 'malformed'
  /** A field named `error` or the like: no event stream has one, but some servers write it. */
  | 'error-in-body';

/** What another field may be called, to be ignored as the specification has it. */
const fieldName = /^[a-z][\w-]*$/i;
const failureField = /^(?:errors?|exception|failure|fatal|detail)$/i;

/**
 * Cuts a stream into events, chunk by chunk, with bounded memory. Framing only:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseReader {
  readonly #parser: EventSourceParser;
  readonly #handlers: SseHandlers;
  /** Strips a byte order mark. */
  #decoder = new TextDecoder('utf-8', { fatal: true });

  constructor(handlers: SseHandlers, maxSize: number) {
    this.#handlers = handlers;
    this.#parser = createParser({
      maxBufferSize: maxSize,
      onEvent: ({ event, data }) => handlers.event(event ?? '', data),
      onError: ({ type, field }) => {
        if (type === 'unknown-field') return this.#unknown(field ?? '');
        if (type !== 'max-buffer-size-exceeded') return;
        // Without this the parser throws at the next chunk; what is left of the line is no field.
        this.#parser.reset();
        handlers.fault('too-large');
      },
    });
  }

  chunk(bytes: Uint8Array): void {
    this.#parser.feed(this.#decode(bytes));
  }

  /** The body is over: an event whose last line end or blank line is missing counts, too. */
  end(): void {
    this.#parser.feed(`${this.#decode()}\n\n`);
  }

  #decode(bytes?: Uint8Array): string {
    const more = { stream: bytes !== undefined };
    try {
      return this.#decoder.decode(bytes, more);
    } catch {
      this.#handlers.fault('malformed');
      // From here on what is not UTF-8 becomes U+FFFD: there may be usage yet to read.
      this.#decoder = new TextDecoder('utf-8', { ignoreBOM: true });
      return bytes === undefined ? '\uFFFD' : this.#decoder.decode(bytes, more);
    }
  }

  /** A proxy or a server that fails writes its words, or its JSON, where lines of fields belong. */
  #unknown(field: string): void {
    if (failureField.test(field)) this.#handlers.fault('error-in-body');
    else if (!fieldName.test(field)) this.#handlers.fault('malformed');
  }
}
