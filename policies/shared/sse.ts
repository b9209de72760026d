import { createParser, type EventSourceParser } from 'eventsource-parser';

/**
 * Cuts a stream into events, chunk by chunk, with bounded memory. Framing only:
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseReader {
  readonly #parser: EventSourceParser;
  // Strips a byte order mark; bytes that are not UTF-8 become U+FFFD, as the specification has it.
  readonly #decoder = new TextDecoder();

  /**
   * `onEvent` gets each event's name (empty without one) and data. An event that is not over after
   * `maxSize` characters is dropped: `onOverflow` says so, and reading goes on behind it.
   */
  constructor(
    onEvent: (name: string, data: string) => void,
    onOverflow: () => void,
    maxSize: number,
  ) {
    this.#parser = createParser({
      maxBufferSize: maxSize,
      onEvent: ({ event, data }) => onEvent(event ?? '', data),
      onError: ({ type }) => {
        if (type !== 'max-buffer-size-exceeded') return;
        // Without this the parser throws at the next chunk; what is left of the line is no field.
        this.#parser.reset();
        onOverflow();
      },
    });
  }

  chunk(bytes: Uint8Array): void {
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The body is over: an event whose last line end or blank line is missing counts all the same. */
  end(): void {
    this.#parser.feed(`${this.#decoder.decode()}\n\n`);
  }
}
