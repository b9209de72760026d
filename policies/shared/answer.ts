import type { ByteAccount } from './bytes/budget.ts';
import { formatOf } from './format.ts';
import { HeldBytes } from './bytes/held-bytes.ts';
import { isObject } from './json/json.ts';
import { isErrorList } from './protocols/error.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import type { SlabReader } from './bytes/slabs.ts';
import { type Known, StreamValidator } from './stream-validator.ts';

/** What became known of an answer when its last byte had passed; without a fault it is whole and well formed. */
export interface Answer extends Known {
  /** The whole body in one piece, decoded; null where it was not kept or `fault` is set. */
  readonly body: Uint8Array | null;
  /** Why the reading stopped short of the end, so that there may be usage that was not seen; else null. */
  readonly cut: RefusalReason | null;
}

export interface AnswerReaderOptions {
  readonly protocol: Protocol;
  /** The `Content-Type` of the answer, as it came; decides between JSON and SSE. */
  readonly contentType: string;
  /** Keep a stream's bytes as well; a JSON body is always kept, for its reading. */
  readonly keep: boolean;
  /** The most bytes to hold. */
  readonly maxBytes: number;
  /** Where the bytes held are accounted. */
  readonly budget: ByteAccount;
  /** Where there is room for a JSON body that `budget` has none for, so that its usage is read all the same. */
  readonly reserve?: ByteAccount | null | undefined;
}

const nothing: Known = {
  id: null,
  model: null,
  usage: null,
  finishReasons: [],
  refused: false,
  parts: null,
  expiresAt: null,
  fault: null,
};

/** An answer of which nothing was read. */
export function unread(fault: RefusalReason): Answer {
  return { ...nothing, fault, body: null, cut: fault };
}

/** Reads one answer while it passes: a stream event by event, a JSON body at its end. Never throws. */
export class AnswerReader {
  readonly #options: AnswerReaderOptions;
  readonly #format: 'json' | 'sse' | null;
  readonly #held: HeldBytes;
  readonly #stream: StreamValidator | null;
  /** The first thing found wrong. */
  #fault: RefusalReason | null = null;
  #empty = true;
  #result: Answer | null = null;

  constructor(options: AnswerReaderOptions) {
    this.#options = options;
    this.#format = formatOf(options.contentType);
    this.#held = new HeldBytes({
      maxBytes: options.maxBytes,
      account: options.budget,
      reserve: (this.#format === 'json' ? options.reserve : null) ?? null,
    });
    this.#stream =
      this.#format === 'sse'
        ? new StreamValidator(options.protocol.streamReader(), options.maxBytes)
        : null;
    if (this.#format === null || (this.#format === 'sse' && !options.keep)) this.#held.forget();
  }

  chunk(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#empty = false;
    try {
      // Whatever becomes of it, there may be readers of what is held.
      const unheld = this.#held.add(bytes);
      if (this.#result !== null) return;
      this.#found(this.#format === null ? 'content-type' : unheld);
      this.#stream?.chunk(bytes);
      // What cannot be stored is not held either.
      if (this.#stream !== null && this.fault !== null) this.#held.forget();
    } catch {
      this.#giveUp();
    }
  }

  /** Whether the body is held from its first byte on. */
  get isHeld(): boolean {
    return this.#held.isWhole;
  }

  /** Whether readers that are behind hold more than there is room for. */
  get isOverdrawn(): boolean {
    return this.#held.isOverdrawn;
  }

  /** A reader of the body: of what has come, and of what comes. */
  follow(): SlabReader {
    return this.#held.reader();
  }

  /** What is wrong with it already; null as long as it may still be whole and well formed. */
  get fault(): RefusalReason | null {
    if (this.#fault !== null) return this.#fault;
    const told = this.#stream?.fault ?? null;
    return told === 'incomplete' ? null : told;
  }

  /** Whether what is yet to come changes nothing: there is no body to hold, and no stream to read. */
  get isDone(): boolean {
    return this.#result !== null || (this.#stream === null && this.#fault !== null);
  }

  /** The body is over. */
  end(): Answer {
    try {
      return (this.#result ??= this.#conclude());
    } catch {
      return this.#giveUp();
    }
  }

  /** The body broke off: what became known until then. */
  abort(fault: RefusalReason): Answer {
    try {
      if (this.#result !== null) return this.#result;
      this.#found(fault);
      const known = this.#stream?.reading() ?? nothing;
      const ended = this.#stream !== null && known.fault === null;
      const cut = this.#stream === null ? this.#fault : fault;
      return (this.#result = this.#answer(known, null, ended ? null : cut));
    } catch {
      return this.#giveUp();
    }
  }

  /** A body that a reader fails on is worth no exception: the exchange goes on without it. */
  #giveUp(): Answer {
    this.#held.forget();
    return (this.#result = unread(this.#fault ?? 'malformed'));
  }

  #conclude(): Answer {
    const body = this.#held.join();
    if (this.#empty) return unread('no-body');
    if (this.#stream !== null) return this.#answer(this.#stream.end(), body, null);
    if (body === null) return this.#answer(nothing, null, this.#fault);
    return this.#answer(readJson(body, this.#options.protocol), body, null);
  }

  #answer(known: Known, body: Uint8Array | null, cut: RefusalReason | null): Answer {
    const fault = this.#fault ?? known.fault;
    return { ...known, fault, body: fault === null && this.#options.keep ? body : null, cut };
  }

  #found(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // What the stream told before comes first; that it has not ended yet tells nothing.
    const told = this.#stream?.fault ?? 'incomplete';
    this.#fault = told === 'incomplete' ? fault : told;
    // Where there was no room for it, it is given up already, or in the reserve.
    if (fault !== 'buffer-limit') this.#held.forget();
  }
}

function readJson(body: Uint8Array, protocol: Protocol): Known {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return { ...nothing, fault: 'malformed' };
  }
  if (isObject(json)) return protocol.readAnswer(json);
  return { ...nothing, fault: isErrorList(json) ? 'error-in-body' : 'incomplete' };
}
