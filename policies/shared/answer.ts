import type { ByteBudget } from './budget.ts';
import { isObject } from './json.ts';
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

const nothing: Omit<Reading, 'fault'> = {
  id: null,
  model: null,
  usage: null,
  finishReasons: [],
  refused: false,
};

/** An answer of which nothing was read. */
export function unread(fault: RefusalReason): Answer {
  return { ...nothing, fault, body: null };
}

type Format = 'json' | 'sse' | null;

/** Reads one answer while it passes: a stream event by event, a JSON body at its end. Never throws. */
export class AnswerReader {
  readonly #options: AnswerReaderOptions;
  readonly #format: Format;
  readonly #held: HeldBytes;
  readonly #stream: StreamJudge | null;
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
    if (this.#format === null || (this.#format === 'sse' && !options.keep)) this.#held.forget(null);
  }

  chunk(bytes: Uint8Array): void {
    if (this.#result !== null || bytes.length === 0) return;
    this.#empty = false;
    this.#held.add(bytes);
    this.#stream?.chunk(bytes);
  }

  /** The body is over. */
  end(): Answer {
    return (this.#result ??= this.#conclude());
  }

  /** The body broke off: what became known until then. */
  abort(fault: RefusalReason): Answer {
    if (this.#result === null) {
      this.#held.forget(null);
      const reading = this.#stream?.reading() ?? nothing;
      this.#result = { ...reading, fault, body: null };
    }
    return this.#result;
  }

  #conclude(): Answer {
    const body = this.#held.join();
    if (this.#empty) return unread('no-body');
    if (this.#format === null) return unread('content-type');
    if (this.#stream === null) {
      return body === null
        ? unread(this.#held.lost ?? 'too-large')
        : readJson(body, this.#options.protocol);
    }
    const { fault, ...reading } = this.#stream.end();
    const first = fault ?? this.#held.lost;
    return { ...reading, fault: first, body: first === null ? body : null };
  }
}

function formatOf(contentType: string): Format {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  if (type === 'text/event-stream') return 'sse';
  return type === 'application/json' || type.endsWith('+json') ? 'json' : null;
}

function readJson(body: Uint8Array, protocol: Protocol): Answer {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return unread('malformed');
  }
  if (!isObject(json)) return unread('incomplete');
  const reading = protocol.readAnswer(json);
  return { ...reading, body: reading.fault === null ? body : null };
}

/** The chunks of a body, held by reference and joined once, as long as there is room for them. */
class HeldBytes {
  /** Why they were given up. */
  lost: 'too-large' | 'buffer-limit' | null = null;
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #chunks: Uint8Array[] | null = [];
  #size = 0;

  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  add(bytes: Uint8Array): void {
    if (this.#chunks === null) return;
    if (this.#size + bytes.length > this.#maxBytes) this.forget('too-large');
    else if (!this.#budget.take(bytes.length)) this.forget('buffer-limit');
    else {
      this.#chunks.push(bytes);
      this.#size += bytes.length;
    }
  }

  forget(reason: 'too-large' | 'buffer-limit' | null): void {
    this.lost ??= reason;
    this.#chunks = null;
    this.#budget.give(this.#size);
    this.#size = 0;
  }

  /** All of it in one piece, and no longer held here; null where it was given up. */
  join(): Uint8Array | null {
    const chunks = this.#chunks;
    if (chunks === null) return null;
    let joined = chunks[0] ?? new Uint8Array();
    if (chunks.length > 1) {
      joined = new Uint8Array(this.#size);
      let at = 0;
      for (const chunk of chunks) {
        joined.set(chunk, at);
        at += chunk.length;
      }
    }
    this.forget(null);
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
      (name, data) => this.#event(name, data),
      () => this.#found('too-large'),
      maxBytes,
    );
  }

  chunk(bytes: Uint8Array): void {
    this.#sse.chunk(bytes);
  }

  end(): Omit<Answer, 'body'> {
    this.#flushing = true;
    this.#sse.end();
    return this.reading();
  }

  reading(): Omit<Answer, 'body'> {
    const reading = this.#reader.reading();
    return { ...reading, fault: this.#fault ?? reading.fault };
  }

  #event(name: string, data: string): void {
    if (data === '[DONE]') {
      if (!this.#reader.done()) this.#found(this.#reader.ended ? 'after-ending' : 'malformed');
      return;
    }
    let json: unknown;
    try {
      json = JSON.parse(data);
    } catch {
      this.#found(this.#unfit('malformed'));
      return;
    }
    if (!isObject(json)) this.#found(this.#unfit('malformed'));
    else if (!this.#reader.event(name, json)) this.#found('after-ending');
  }

  #unfit(reason: 'malformed'): RefusalReason {
    if (this.#reader.ended) return 'after-ending';
    return this.#flushing ? 'incomplete' : reason;
  }

  #found(fault: RefusalReason): void {
    this.#fault ??= fault;
  }
}
