import { type Answer, AnswerReader, unread } from './answer.ts';
import { keptHeaders } from './answer-headers.ts';
import type { ByteBudget } from './budget.ts';
import type { Exchange, ResponseObserver } from './exchange.ts';
import type { RefusalReason } from './reasons.ts';

export interface WatchOptions {
  /** Keep the bytes of a stream too, so that it can be stored. */
  readonly keep: boolean;
  /** The most bytes of a body to hold, decoded. */
  readonly maxBytes: number;
  readonly budget: ByteBudget;
}

/** An answer that has passed: what is known of it, and the head that it had. */
export interface WatchedAnswer {
  /** 0 when it broke off before its head. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: Answer;
}

/** Reads the answer of an exchange while it passes, for whoever looks first; the others share what it finds. */
export class AnswerWatch implements ResponseObserver {
  /** Resolves once, when the answer has ended or broken off; never rejects. */
  readonly finished: Promise<WatchedAnswer>;
  readonly #exchange: Exchange;
  readonly #options: WatchOptions;
  #resolve: (answer: WatchedAnswer) => void = () => {};
  #reader: AnswerReader | null = null;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};

  constructor(exchange: Exchange, options: WatchOptions) {
    this.#exchange = exchange;
    this.#options = options;
    this.finished = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The head of the answer, as far as it is replayed; empty before it has come. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** What is held of the body so far; null where it was given up. */
  get held(): readonly Uint8Array[] | null {
    return this.#reader?.held ?? null;
  }

  /** Whether it may still turn out to be one that can be shared and stored. */
  get isSound(): boolean {
    return this.#reader !== null && this.held !== null && this.#reader.fault === null;
  }

  head(status: number, header: (name: string) => string | undefined): void {
    if (this.#exchange.answer !== null || this.#exchange.served !== null) return;
    this.#exchange.answer = this.finished.then(({ answer }) => answer);
    this.#status = status;
    this.#headers = keptHeaders(header);
    const { keep, maxBytes, budget } = this.#options;
    this.#reader = new AnswerReader({
      maxBytes,
      budget,
      keep: keep && status === 200,
      protocol: this.#exchange.request.protocol,
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
