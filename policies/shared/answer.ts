import type { ByteBudget } from './budget.ts';
import { isObject, type JsonObject } from './json.ts';
import type { Protocol, Reading, StreamReader } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import { SseReader } from './sse.ts';

/** What became known of an answer's body when its last byte had passed. */
export interface Answer extends Omit<Reading, 'fault'> {
  /** The first thing found wrong with it; null for a whole, well-formed answer. */
  readonly fault: RefusalReason | null;
  /** The whole body in one piece, decoded; null where it was not kept or `fault` is set. */
  readonly body: Uint8Array | null;
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
  readonly budget: ByteBudget;
}

const nothing: Known = {
  id: null,
  model: null,
  usage: null,
  finishReasons: [],
  refused: false,
  fault: null,
};

/** An answer of which nothing was read. */
export function unread(fault: RefusalReason): Answer {
  return { ...nothing, fault, body: null };
}

/** An answer but for its bytes, as far as it was read. */
type Known = Omit<Answer, 'body'>;

/** Reads one answer while it passes: a stream event by event, a JSON body at its end. Never throws. */
export class AnswerReader {
  readonly #options: AnswerReaderOptions;
  readonly #format: 'json' | 'sse' | null;
  readonly #held: HeldBytes;
  readonly #stream: StreamJudge | null;
  /** The first thing found wrong. */
  #fault: RefusalReason | null = null;
  #empty = true;
  #result: Answer | null = null;

  constructor(options: AnswerReaderOptions) {
    this.#options = options;
    this.#format = formatOf(options.contentType);
    this.#held = new HeldBytes(options.maxBytes, options.budget);
    this.#stream =
      this.#format === 'sse'
        ? new StreamJudge(options.protocol.streamReader(), options.maxBytes)
        : null;
    if (this.#format === null || (this.#format === 'sse' && !options.keep)) this.#held.forget();
  }

  chunk(bytes: Uint8Array): void {
    if (this.#result !== null || bytes.length === 0) return;
    this.#empty = false;
    try {
      this.#found(this.#format === null ? 'content-type' : this.#held.add(bytes));
      this.#found(this.#stream?.chunk(bytes) ?? null);
    } catch {
      this.#giveUp();
    }
  }

  /** What is held of the body so far; null where it was given up. */
  get held(): readonly Uint8Array[] | null {
    return this.#held.chunks;
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
      return (this.#result = this.#answer(this.#stream?.reading() ?? nothing, null));
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
    if (this.#stream !== null) return this.#answer(this.#stream.end(), body);
    const known = body === null ? nothing : readJson(body, this.#options.protocol);
    return this.#answer(known, body);
  }

  #answer(known: Known, body: Uint8Array | null): Answer {
    const fault = this.#fault ?? known.fault;
    return { ...known, fault, body: fault === null && this.#options.keep ? body : null };
  }

  #found(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // What the stream told before comes first; that it has not ended yet tells nothing.
    const told = this.#stream?.reading().fault ?? 'incomplete';
    this.#fault = told === 'incomplete' ? fault : told;
    this.#held.forget();
  }
}

function formatOf(contentType: string): 'json' | 'sse' | null {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  if (type === 'text/event-stream') return 'sse';
  return type === 'application/json' || type.endsWith('+json') ? 'json' : null;
}

function readJson(body: Uint8Array, protocol: Protocol): Known {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return { ...nothing, fault: 'malformed' };
  }
  return isObject(json) ? protocol.readAnswer(json) : { ...nothing, fault: 'incomplete' };
}

/** The chunks of a body, held by reference and joined once, as long as there is room for them. */
class HeldBytes {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #chunks: Uint8Array[] | null = [];
  #size = 0;

  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  get chunks(): readonly Uint8Array[] | null {
    return this.#chunks;
  }

  /** Holds `bytes` too, or gives all up and says why. */
  add(bytes: Uint8Array): 'too-large' | 'buffer-limit' | null {
    if (this.#chunks === null) return null;
    const isTooLarge = this.#size + bytes.length > this.#maxBytes;
    if (isTooLarge || !this.#budget.take(bytes.length)) {
      this.forget();
      return isTooLarge ? 'too-large' : 'buffer-limit';
    }
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    return null;
  }

  forget(): void {
    this.#chunks = null;
    this.#budget.give(this.#size);
    this.#size = 0;
  }

  /** All of it in one piece, and no longer held here; null where it was given up. */
  join(): Uint8Array | null {
    const chunks = this.#chunks;
    if (chunks === null) return null;
    // Even a single chunk: it may be a small piece of a large buffer, which would live on with it.
    const joined = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.forget();
    return joined;
  }
}

/** Judges a stream while it passes: framing, payloads, and what its protocol says of them. */
class StreamJudge {
  readonly #reader: StreamReader;
  readonly #sse: SseReader;
  #fault: RefusalReason | null = null;
  /** The body is over, and what comes now is the event that was cut off by its end. */
  #flushing = false;

  constructor(reader: StreamReader, maxBytes: number) {
    this.#reader = reader;
    this.#sse = new SseReader(
      (name, data) => this.#found(this.#event(name, data)),
      () => this.#found('too-large'),
      maxBytes,
    );
  }

  /** Returns the first thing found wrong until now. */
  chunk(bytes: Uint8Array): RefusalReason | null {
    this.#sse.chunk(bytes);
    return this.#fault;
  }

  end(): Known {
    this.#flushing = true;
    this.#sse.end();
    return this.reading();
  }

  reading(): Known {
    const reading = this.#reader.reading();
    return { ...reading, fault: this.#fault ?? reading.fault };
  }

  #event(name: string, data: string): RefusalReason | null {
    if (data === '[DONE]') {
      if (this.#reader.done()) return null;
      return this.#reader.ended ? 'after-ending' : 'malformed';
    }
    const payload = parseObject(data);
    if (payload !== null) return this.#reader.event(name, payload) ? null : 'after-ending';
    if (this.#reader.ended) return 'after-ending';
    return this.#flushing ? 'incomplete' : 'malformed';
  }

  #found(fault: RefusalReason | null): void {
    if (fault === null || this.#fault !== null) return;
    // An error that the provider had told explains whatever came of it.
    const told = this.#reader.reading().fault === 'error-in-body';
    this.#fault = told ? 'error-in-body' : fault;
  }
}

/** Null where `text` is no JSON object. */
function parseObject(text: string): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : null;
  } catch {
    return null;
  }
}
