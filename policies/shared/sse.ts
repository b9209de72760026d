import { createParser, type EventSourceParser } from 'eventsource-parser';

/** Cuts a stream into events (WHATWG server-sent events), chunk by chunk, with bounded memory. */
export class SseReader {
  readonly #parser: EventSourceParser;
  readonly #decoder = new TextDecoder();
  #overflown = false;

  /**
   * `onEvent` gets each event's name (empty without one) and data. An event that grows beyond
   * `maxBytes` characters ends the reading; `onOverflow` says so, once.
   */
  constructor(
    onEvent: (name: string, data: string) => void,
    onOverflow: () => void,
    maxBytes: number,
  ) {
    this.#parser = createParser({
      maxBufferSize: maxBytes,
      onEvent: ({ event, data }) => onEvent(event ?? '', data),
      onError: ({ type }) => {
        if (type !== 'max-buffer-size-exceeded') return;
        this.#overflown = true;
        onOverflow();
      },
    });
  }

  chunk(bytes: Uint8Array): void {
    if (!this.#overflown) this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The body is over: an event whose last line end or blank line is missing counts all the same. */
  end(): void {
    if (!this.#overflown) this.#parser.feed(`${this.#decoder.decode()}\n\n`);
  }
}
