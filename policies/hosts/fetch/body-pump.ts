import type { FaultLog } from '../../shared/faults.ts';
import { nextTurn } from '../../shared/turns.ts';
import type { BodySink } from '../../shared/bytes/body-sink.ts';

export interface BodyPumpOptions {
  readonly observer: BodySink | null;
  /** The length that the head declares, in bytes; null if none applies to this body. */
  readonly declared: number | null;
  readonly faults: FaultLog;
  /** How far a client may fall behind the other readers, in bytes. */
  readonly maxBehind: number;
  /** Whether other requests read along, so that the upstream keeps its pace for a slow client. */
  readonly keepsPace: () => boolean;
  /** Returns whether reading continues without the client. Called when the client has left. */
  readonly outlivesClient: () => boolean;
  /** Called when the client fell too far behind, before its response is broken off. */
  readonly tooSlow: () => void;
  /** Called when the response is complete or broken off. */
  readonly delivered: () => void;
}

/** How many pieces are read in one turn of the event loop. */
const piecesATurn = 256;

type Read = ReadableStreamReadResult<Uint8Array>;

/**
 * Pumps the body of a response from the handler to the client, and lets `observer` see it. The body
 * is read at the client's pace or, while other requests read along, at the upstream's.
 */
export class BodyPump {
  /** What the client reads. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #options: BodyPumpOptions;
  #observer: BodySink | null;
  /** Null when the client has left. */
  #client: ReadableStreamDefaultController<Uint8Array> | null = null;
  #passed = 0;
  #ahead: Promise<Read> | null = null;
  #step: Promise<void> | null = null;
  #isOpen = false;
  #driving = false;
  #over = false;

  constructor(body: ReadableStream<Uint8Array>, options: BodyPumpOptions) {
    this.#reader = body.getReader();
    this.#options = options;
    this.#observer = options.observer;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (client) => void (this.#client = client),
        pull: () => this.#pass(),
        cancel: () => this.leave(),
      },
      // Read nothing before the client asks for it.
      { highWaterMark: 0, size: sizeOf },
    );
  }

  /**
   * Reads the first bytes and keeps them for the client. Resolves to undefined if there are none.
   * Rejects if the body breaks off.
   */
  async first(): Promise<Uint8Array | undefined> {
    let first: Read;
    do {
      this.#ahead = this.#reader.read();
      first = await this.#ahead;
    } while (isBytes(first.value) && first.value.length === 0);
    if (first.done && this.#isShort) throw shorter();
    return isBytes(first.value) ? first.value : undefined;
  }

  /** Lets the body pass after the head. `wrap` may decode the body for the observer. */
  open(wrap: (observer: BodySink) => BodySink): void {
    if (this.#observer !== null) this.#observer = wrap(this.#observer);
    this.#isOpen = true;
    void this.drive();
  }

  /** Reads at the upstream's own pace, as long as a reader needs that. */
  async drive(): Promise<void> {
    if (this.#driving || !this.#isOpen) return;
    this.#driving = true;
    for (
      let pieces = 1;
      !this.#over && (this.#client === null || this.#options.keepsPace());
      pieces++
    ) {
      await this.#pass();
      // A handler's stream may have all of its pieces at once.
      if (pieces % piecesATurn === 0) await nextTurn();
    }
    this.#driving = false;
  }

  /** The client has left. */
  leave(): void {
    if (this.#over || this.#client === null) return;
    this.#breakOff(new DOMException('The client has left.', 'AbortError'));
    if (this.#options.outlivesClient()) void this.drive();
    else this.abandon();
  }

  /** Cancels a body that no longer has a reader. */
  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader.cancel().catch(() => {});
    this.#observe((observer) => observer.abort('client-left'));
  }

  /** Reads and passes on one piece. All callers share a read that is in progress. */
  #pass(): Promise<void> {
    this.#step ??= this.#next().finally(() => {
      this.#step = null;
    });
    return this.#step;
  }

  async #next(): Promise<void> {
    let read: Read;
    try {
      read = await (this.#ahead ?? this.#reader.read());
      this.#ahead = null;
    } catch (error) {
      this.#died(error);
      return;
    }
    // A cancelled reader also reports the end of the body.
    if (this.#over) return;
    if (read.done) return this.#isShort ? this.#died(shorter()) : this.#end();
    const { value } = read;
    if (!isBytes(value)) return this.#passUnread(value);
    this.#passed += value.length;
    // RFC 9112, section 6.3: bytes after the declared length are not part of the answer.
    if (this.#passed > (this.#options.declared ?? Infinity)) {
      this.#reader.cancel().catch(() => {});
      return this.#died(new TypeError('The body is longer than its Content-Length.'));
    }
    // The observer gets a copy, because the client's reader may transfer the memory of its bytes.
    const copy = this.#observer === null ? value : new Uint8Array(value);
    this.#client?.enqueue(value);
    this.#observe((observer) => observer.chunk(copy));
    const behind = -(this.#client?.desiredSize ?? 0);
    if (behind <= this.#options.maxBehind || !this.#driving) return;
    this.#options.tooSlow();
    this.leave();
  }

  get #isShort(): boolean {
    return this.#passed < (this.#options.declared ?? 0);
  }

  /** Passes on a value that is not bytes and that the cache cannot read. Some platforms accept text. */
  #passUnread(value: Uint8Array): void {
    this.#passed = NaN;
    this.#client?.enqueue(value);
    this.#observe((observer) => observer.abort('malformed'));
    this.#observer = null;
    if (this.#client === null) this.abandon();
  }

  #end(): void {
    this.#over = true;
    this.#client?.close();
    this.#observe((observer) => observer.end());
    this.#delivered();
  }

  #died(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#observe((observer) => observer.abort('aborted'));
    this.#breakOff(error);
  }

  #breakOff(error: unknown): void {
    try {
      this.#client?.error(error);
    } catch {
      // The client has cancelled its stream.
    }
    this.#delivered();
  }

  #delivered(): void {
    if (this.#client === null) return;
    this.#client = null;
    this.#options.delivered();
  }

  #observe(step: (observer: BodySink) => void): void {
    try {
      if (this.#observer !== null) step(this.#observer);
    } catch (error) {
      this.#options.faults.report('llm-cache: an answer could not be read', error);
    }
  }
}

function shorter(): TypeError {
  return new TypeError('The body is shorter than its Content-Length.');
}

/** A handler may have put anything into its stream. */
function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function sizeOf(value: unknown): number {
  return isBytes(value) ? value.length : 0;
}
