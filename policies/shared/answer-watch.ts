import { type Answer, AnswerReader, unread } from './answer.ts';
import { keptHeaders } from './answer-headers.ts';
import type { ByteAccount } from './bytes/budget.ts';
import type { ResponseObserver } from './exchange.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import { type SlabReader, Slabs } from './bytes/slabs.ts';

export interface WatchOptions {
  /** Keep the bytes of a stream too, so that it can be stored. */
  readonly keep: boolean;
  /** The most bytes of a body to hold, decoded. */
  readonly maxBytes: number;
  readonly budget: ByteAccount;
  /** Where there is room for what must be read for the books when `budget` has none. */
  readonly reserve?: ByteAccount | null;
}

/** An answer that has passed: what is known of it, and the head that it had. */
export interface WatchedAnswer {
  /** 0 when it broke off before its head. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: Answer;
}

/** Reads an answer from its head to its end while it passes. */
export class AnswerWatch implements ResponseObserver {
  /** Resolves once, when the answer has ended or broken off; never rejects. */
  readonly finished: Promise<WatchedAnswer>;
  readonly #protocol: Protocol;
  readonly #options: WatchOptions;
  #resolve: (answer: WatchedAnswer) => void = () => {};
  #reader: AnswerReader | null = null;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};

  constructor(protocol: Protocol, options: WatchOptions) {
    this.#protocol = protocol;
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get answer(): Promise<Answer> {
    return this.finished.then(({ answer }) => answer);
  }

  /** The head of the answer, as far as it is replayed; empty before it has come. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** A reader of the body: of what has come, and of what comes. */
  follow(): SlabReader {
    return this.#reader?.follow() ?? new Slabs(this.#options.budget).reader();
  }

  /** Whether readers that are behind hold more than there is room for. */
  get isOverdrawn(): boolean {
    return this.#reader?.isOverdrawn ?? false;
  }

  /** Whether it may still turn out to be one that can be shared and stored. */
  get isSound(): boolean {
    return this.#reader !== null && this.#reader.isHeld && this.#reader.fault === null;
  }

  get isDone(): boolean {
    return this.#reader?.isDone ?? true;
  }

  head(status: number, header: (name: string) => string | undefined): void {
    this.#status = status;
    this.#headers = keptHeaders(header);
    const { keep, maxBytes, budget, reserve } = this.#options;
    this.#reader = new AnswerReader({
      maxBytes,
      budget,
      reserve,
      keep: keep && status === 200,
      protocol: this.#protocol,
      contentType: this.#headers['content-type'] ?? '',
    });
  }

  chunk(bytes: Uint8Array): void {
    this.#reader?.chunk(bytes);
  }

  end(): void {
    if (this.#reader !== null) this.#finish(this.#reader.end());
  }

  abort(reason: RefusalReason): void {
    this.#finish(this.#reader?.abort(reason) ?? unread(reason));
  }

  #finish(answer: Answer): void {
    this.#resolve({ status: this.#status, headers: this.#headers, answer });
  }
}
