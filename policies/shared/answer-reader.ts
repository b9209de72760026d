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
  /** Whether to keep the body of an answer with status 200, so that it can be stored. */
  readonly keep: boolean;
  /** The largest body to hold, in bytes, decoded. */
  readonly maxBytes: number;
  /** The account of the bytes held. */
  readonly budget: ByteAccount;
  /** The account for a JSON body that `budget` has no room for, so that its usage is still read. */
  readonly reserve?: ByteAccount | null;
}

const emptyReading: Reading = {
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
 * Reads one answer while it passes: a stream event by event, a JSON body at its end. Never throws,
 * and ignores what comes before the head.
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
  /** The first fault found outside the stream's own validation. */
  #fault: RefusalReason | null = null;
  #isEmpty = true;
  #answer: Answer | null = null;
  #listeners: ((answer: Answer) => void)[] = [];

  constructor(protocol: Protocol, options: AnswerReaderOptions) {
    this.#protocol = protocol;
    this.#options = options;
  }

  get answer(): Answer | null {
    return this.#answer;
  }

  whenRead(then: (answer: Answer) => void): void {
    if (this.#answer === null) this.#listeners.push(then);
    else then(this.#answer);
  }

  /** The headers that are replayed; empty before the head. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** Returns a reader of the bytes that are held and of those to come. */
  follow(): SlabReader {
    return this.#held?.reader() ?? new Slabs(this.#options.budget).reader();
  }

  /** Whether slow readers hold more bytes than there is room for. */
  get isOverdrawn(): boolean {
    return this.#held?.isOverdrawn ?? false;
  }

  /** Whether the answer may still prove fit to be shared and stored. */
  get isSound(): boolean {
    return this.#held !== null && this.#held.isWhole && this.#currentFault === null;
  }

  /** Whether further bytes change nothing: there is no body to hold and no stream to read. */
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
    // A JSON body is parsed at its end, so it is held even if it is not kept.
    const mustHold = isJson || (this.#format === 'sse' && keep && status === 200);
    if (!mustHold) this.#held.forget();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#held === null || bytes.length === 0) return;
    this.#isEmpty = false;
    try {
      // Readers may follow the bytes even if the answer has a fault.
      const holdFault = this.#held.add(bytes);
      if (this.#answer !== null) return;
      this.#noteFault(this.#format === null ? 'content-type' : holdFault);
      this.#stream?.chunk(bytes);
      // A stream that cannot be stored need not be held.
      if (this.#stream !== null && this.#currentFault !== null) this.#held.forget();
    } catch {
      this.#giveUp();
    }
  }

  end(): void {
    if (this.#held === null || this.#answer !== null) return;
    try {
      this.#finish(...this.#readWhole(this.#held));
    } catch {
      this.#giveUp();
    }
  }

  /** Finishes with what is known so far, because the body broke off. */
  abort(reason: RefusalReason): void {
    if (this.#answer !== null) return;
    try {
      this.#noteFault(reason);
      const reading = this.#stream?.reading() ?? emptyReading;
      const hasEnded = this.#stream !== null && reading.fault === null;
      const cut = this.#stream === null ? this.#fault : reason;
      this.#finish(reading, null, hasEnded ? null : cut);
    } catch {
      this.#giveUp();
    }
  }

  /** The fault found so far; null while the answer may still be whole and well formed. */
  get #currentFault(): RefusalReason | null {
    if (this.#fault !== null) return this.#fault;
    const streamFault = this.#stream?.fault ?? null;
    return streamFault === 'incomplete' ? null : streamFault;
  }

  #readWhole(
    held: HeldBytes,
  ): [reading: Reading, body: Uint8Array | null, cut: RefusalReason | null] {
    const body = held.join();
    if (this.#isEmpty) return [{ ...emptyReading, fault: 'no-body' }, null, 'no-body'];
    if (this.#stream !== null) return [this.#stream.end(), body, null];
    if (body === null) return [emptyReading, null, this.#fault];
    return [readJson(body, this.#protocol), body, null];
  }

  /** Turns an exception of a reader into a fault, so that the exchange goes on. */
  #giveUp(): void {
    this.#held?.forget();
    this.#fault ??= 'malformed';
    this.#finish(emptyReading, null, this.#fault);
  }

  #finish(reading: Reading, body: Uint8Array | null, cut: RefusalReason | null): void {
    if (this.#answer !== null) return;
    const fault = this.#fault ?? reading.fault;
    const isKept = fault === null && this.#options.keep && this.#status === 200;
    // Written out, because spreading objects of several shapes is slow.
    this.#answer = {
      id: reading.id,
      model: reading.model,
      usage: reading.usage,
      finishReasons: reading.finishReasons,
      refused: reading.refused,
      parts: reading.parts,
      expiresAt: reading.expiresAt,
      fault,
      cut,
      body: isKept ? body : null,
      status: this.#status,
      headers: this.#headers,
    };
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const then of listeners) notify(then, this.#answer);
  }

  #noteFault(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // A fault that the stream has found came first. `incomplete` only means that it has not ended.
    const streamFault = this.#stream?.fault ?? 'incomplete';
    this.#fault = streamFault === 'incomplete' ? fault : streamFault;
    // After `buffer-limit` the body is either dropped already or held in the reserve.
    if (fault !== 'buffer-limit') this.#held?.forget();
  }
}

/** Calls one listener; its exception must not keep the others from being called. */
function notify(then: (answer: Answer) => void, answer: Answer): void {
  try {
    then(answer);
  } catch {
    // Listeners report their own faults.
  }
}

function readJson(body: Uint8Array, protocol: Protocol): Reading {
  let json: unknown;
  try {
    json = JSON.parse(strictUtf8.decode(body));
  } catch {
    return { ...emptyReading, fault: 'malformed' };
  }
  if (isObject(json)) return protocol.readAnswer(json);
  if (isErrorList(json)) return { ...emptyReading, fault: 'error-in-body' };
  const list = Array.isArray(json) ? protocol.readList?.(json) : undefined;
  return list ?? { ...emptyReading, fault: 'incomplete' };
}
