import type { FaultLog } from '../../shared/faults.ts';
import { nextTurn } from '../../shared/turns.ts';
import type { BodySink } from '../../shared/bytes/body-sink.ts';

export interface BodyPumpOptions {
  readonly observer: BodySink | null;
  /** The length that the head declares, in bytes; null where none binds this body. */
  readonly declared: number | null;
  readonly faults: FaultLog;
  /** How far a client may be behind what others have read, in bytes. */
  readonly maxBehind: number;
  /** Whether the upstream keeps its pace though the client does not take it: others read along. */
  readonly keepsPace: () => boolean;
  /** Asked when the client has left: whether the body is read on without it. */
  readonly goesOn: () => boolean;
  /** The client fell too far behind, and its response was broken off. */
  readonly tooSlow: () => void;
  /** The client has all that it will get. */
  readonly delivered: () => void;
}

/** Pieces that are read in one turn of the event loop. */
const piecesATurn = 256;

type Read = ReadableStreamReadResult<Uint8Array>;

/**
 * The body of a response on its way from the handler to the client, seen by `observer`. It is read
 * when the client reads; while others read along, as fast as it comes.
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
      // Nothing is read that the client has not asked for.
      { highWaterMark: 0, size: sizeOf },
    );
  }

  /** Reads the first bytes, and keeps them; undefined where there are none. Rejects where the body breaks off. */
  async first(): Promise<Uint8Array | undefined> {
    let first: Read;
    do {
      this.#ahead = this.#reader.read();
      first = await this.#ahead;
    } while (isBytes(first.value) && first.value.length === 0);
    if (first.done && this.#isShort) throw shorter();
    return isBytes(first.value) ? first.value : undefined;
  }

  /** The head has passed, and the bytes may: by way of `wrap` to the observer. */
  open(wrap: (observer: BodySink) => BodySink): void {
    if (this.#observer !== null) this.#observer = wrap(this.#observer);
    this.#isOpen = true;
    void this.drive();
  }

  /** Reads at the upstream's own pace, as long as a reader wants that. */
  async drive(): Promise<void> {
    if (this.#driving || !this.#isOpen) return;
    this.#driving = true;
    for (
      let pieces = 1;
      !this.#over && (this.#client === null || this.#options.keepsPace());
      pieces++
    ) {
      await this.#pass();
      // A handler's stream may have all of them at once.
      if (pieces % piecesATurn === 0) await nextTurn();
    }
    this.#driving = false;
  }

  /** The client has left. */
  leave(): void {
    if (this.#over || this.#client === null) return;
    this.#breakOff(new DOMException('The client has left.', 'AbortError'));
    if (this.#options.goesOn()) void this.drive();
    else this.abandon();
  }

  /** Ends a body that has no reader any more. */
  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader.cancel().catch(() => {});
    this.#observe((observer) => observer.abort('client-left'));
  }

  /** One read at a time, for all readers. */
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
    // A reader that was cancelled says that the body has ended.
    if (this.#over) return;
    if (read.done) return this.#isShort ? this.#died(shorter()) : this.#end();
    const { value } = read;
    if (!isBytes(value)) return this.#passUnread(value);
    this.#passed += value.length;
    // RFC 9112, section 6.3: what comes behind the declared end is no part of the answer.
    if (this.#passed > (this.#options.declared ?? Infinity)) {
      this.#reader.cancel().catch(() => {});
      return this.#died(new TypeError('The body is longer than its Content-Length.'));
    }
    // A copy is what others hold: a taker of these bytes may take their memory away as well.
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

  /** What is no bytes is between the handler and the platform, which may take text, too. */
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
      // Who has cancelled it hears nothing more of it.
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

/** A handler's stream has whatever was put into it. */
function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array;
}

function sizeOf(value: unknown): number {
  return isBytes(value) ? value.length : 0;
}
