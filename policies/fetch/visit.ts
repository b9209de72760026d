import type { BodyFacts } from '../shared/request-body.ts';
import type { WebExchange } from '../shared/web/exchange.ts';
import type { Books } from './books.ts';

/** What a client gets whose handler fails: the platforms answer that themselves. */
const internalServerError = 500;

/** One request from its arrival until its client has all that it will get, and the books know. */
export class Visit {
  /** Resolves when the record of it has been taken; at once where there are no books. */
  readonly recorded: Promise<void>;
  #status = internalServerError;
  #providerStatus: number | null = null;
  #deliver: () => void = () => {};

  /** `facts` are null where the body could not be held. */
  constructor(
    exchange: WebExchange,
    books: Books | null,
    arrival: { readonly startedAt: number; readonly facts: BodyFacts | null },
  ) {
    const delivered = new Promise<void>((resolve) => {
      this.#deliver = resolve;
    });
    this.recorded = delivered.then(() => {
      const endedAt = Date.now();
      exchange.request.release();
      return books?.enter(exchange, {
        ...arrival,
        endedAt,
        status: this.#status,
        providerStatus: this.#providerStatus,
      });
    });
  }

  answered(status: number): void {
    this.#providerStatus = status;
  }

  sent(status: number): void {
    this.#status = status;
  }

  delivered(): void {
    this.#deliver();
  }
}
