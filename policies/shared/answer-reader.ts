import type { Answer, PendingAnswer } from './answer.ts';
import { keptHeaders } from './answer-headers.ts';
import type { ByteAccount } from './bytes/budget.ts';
import { HeldBytes } from './bytes/held-bytes.ts';
import { type SlabReader, Slabs } from './bytes/slabs.ts';
import type { ResponseObserver } from './exchange.ts';
import { formatOf } from './format.ts';
import { isObject } from './json/json.ts';
import { isErrorList } from './protocols/error.ts';
import type { Protocol, Reading } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import { StreamValidator } from './stream-validator.ts';

export interface AnswerReaderOptions {
  /** Keep the body of an answer with status 200, so that it can be stored. */
  readonly keep: boolean;
  /** The most bytes of a body to hold, decoded. */
  readonly maxBytes: number;
  /** Where the bytes held are accounted. */
  readonly budget: ByteAccount;
  /** Where there is room for a JSON body that `budget` has none for, so that its usage is read all the same. */
  readonly reserve?: ByteAccount | null;
}

const nothing: Reading = {
  id: null,
  model: null,
  usage: null,
  finishReasons: [],
  refused: false,
  parts: null,
  expiresAt: null,
  fault: null,
};

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads one answer while it passes: a stream event by event, a JSON body at its end. Never throws;
 * what comes before the head is ignored.
 */
export class AnswerReader implements ResponseObserver, PendingAnswer {
  readonly #protocol: Protocol;
  readonly #options: AnswerReaderOptions;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};
  #format: 'json' | 'sse' | null = null;
  /** Null before the head. */
  #held: HeldBytes | null = null;
  #stream: StreamValidator | null = null;
  /** The first thing found wrong. */
  #fault: RefusalReason | null = null;
  #isEmpty = true;
  #answer: Answer | null = null;
  #waiting: ((answer: Answer) => void)[] = [];

  constructor(protocol: Protocol, options: AnswerReaderOptions) {
    this.#protocol = protocol;
    this.#options = options;
  }

  get answer(): Answer | null {
    return this.#answer;
  }

  whenRead(then: (answer: Answer) => void): void {
    if (this.#answer === null) this.#waiting.push(then);
    else then(this.#answer);
  }

  /** The headers that are replayed; empty before the head. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** A reader of the body: of what has come, and of what comes. */
  follow(): SlabReader {
    return this.#held?.reader() ?? new Slabs(this.#options.budget).reader();
  }

  /** Whether readers that are behind hold more than there is room for. */
  get isOverdrawn(): boolean {
    return this.#held?.isOverdrawn ?? false;
  }

  /** Whether it may still turn out to be one that can be shared and stored. */
  get isSound(): boolean {
    return this.#held !== null && this.#held.isWhole && this.#foundFault === null;
  }

  /** Whether what is yet to come changes nothing: there is no body to hold, and no stream to read. */
  get isDone(): boolean {
    if (this.#held === null || this.#answer !== null) return true;
    return this.#stream === null && this.#fault !== null;
  }

  head(status: number, header: (name: string) => string | undefined): void {
    const { keep, maxBytes, budget, reserve = null } = this.#options;
    this.#status = status;
    this.#headers = keptHeaders(header);
    this.#format = formatOf(this.#headers['content-type']);
    const isJson = this.#format === 'json';
    this.#held = new HeldBytes({ maxBytes, account: budget, reserve: isJson ? reserve : null });
    if (this.#format === 'sse') {
      this.#stream = new StreamValidator(this.#protocol.streamReader(), maxBytes);
    }
    // A JSON body is held for its reading, whether or not it is kept.
    const isHeld = isJson || (this.#format === 'sse' && keep && status === 200);
    if (!isHeld) this.#held.forget();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#held === null || bytes.length === 0) return;
    this.#isEmpty = false;
    try {
      // Whatever becomes of it, there may be readers of what is held.
      const unheld = this.#held.add(bytes);
      if (this.#answer !== null) return;
      this.#found(this.#format === null ? 'content-type' : unheld);
      this.#stream?.chunk(bytes);
      // What cannot be stored is not held either.
      if (this.#stream !== null && this.#foundFault !== null) this.#held.forget();
    } catch {
      this.#giveUp();
    }
  }

  /** The body is over. */
  end(): void {
    if (this.#held === null || this.#answer !== null) return;
    try {
      this.#finish(...this.#whole(this.#held));
    } catch {
      this.#giveUp();
    }
  }

  /** The body broke off: what became known until then. */
  abort(reason: RefusalReason): void {
    if (this.#answer !== null) return;
    try {
      this.#found(reason);
      const known = this.#stream?.reading() ?? nothing;
      const hasEnded = this.#stream !== null && known.fault === null;
      const cut = this.#stream === null ? this.#fault : reason;
      this.#finish(known, null, hasEnded ? null : cut);
    } catch {
      this.#giveUp();
    }
  }

  /** What is wrong with it already; null as long as it may still be whole and well formed. */
  get #foundFault(): RefusalReason | null {
    if (this.#fault !== null) return this.#fault;
    const told = this.#stream?.fault ?? null;
    return told === 'incomplete' ? null : told;
  }

  #whole(held: HeldBytes): [known: Reading, body: Uint8Array | null, cut: RefusalReason | null] {
    const body = held.join();
    if (this.#isEmpty) return [{ ...nothing, fault: 'no-body' }, null, 'no-body'];
    if (this.#stream !== null) return [this.#stream.end(), body, null];
    if (body === null) return [nothing, null, this.#fault];
    return [readJson(body, this.#protocol), body, null];
  }

  /** A body that a reader fails on is worth no exception: the exchange goes on without it. */
  #giveUp(): void {
    this.#held?.forget();
    this.#fault ??= 'malformed';
    this.#finish(nothing, null, this.#fault);
  }

  #finish(known: Reading, body: Uint8Array | null, cut: RefusalReason | null): void {
    if (this.#answer !== null) return;
    const fault = this.#fault ?? known.fault;
    const isKept = fault === null && this.#options.keep && this.#status === 200;
    // Member by member: a spread of objects of several shapes is slow.
    this.#answer = {
      id: known.id,
      model: known.model,
      usage: known.usage,
      finishReasons: known.finishReasons,
      refused: known.refused,
      parts: known.parts,
      expiresAt: known.expiresAt,
      fault,
      cut,
      body: isKept ? body : null,
      status: this.#status,
      headers: this.#headers,
    };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const then of waiting) tell(then, this.#answer);
  }

  #found(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // What the stream told before comes first; that it has not ended yet tells nothing.
    const told = this.#stream?.fault ?? 'incomplete';
    this.#fault = told === 'incomplete' ? fault : told;
    // Where there was no room for it, it is given up already, or in the reserve.
    if (fault !== 'buffer-limit') this.#held?.forget();
  }
}

/** Who fails on it keeps no other from being told. */
function tell(then: (answer: Answer) => void, answer: Answer): void {
  try {
    then(answer);
  } catch {
    // They say themselves what was wrong.
  }
}

function readJson(body: Uint8Array, protocol: Protocol): Reading {
  let json: unknown;
  try {
    json = JSON.parse(strictUtf8.decode(body));
  } catch {
    return { ...nothing, fault: 'malformed' };
  }
  if (isObject(json)) return protocol.readAnswer(json);
  if (isErrorList(json)) return { ...nothing, fault: 'error-in-body' };
  const list = Array.isArray(json) ? protocol.readList?.(json) : undefined;
  return list ?? { ...nothing, fault: 'incomplete' };
}
