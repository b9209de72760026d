import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import type { Flight } from '../../llm-cache/flight.ts';
import type { ForwardedCall } from '../../llm-cache/forwarded-call.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { decodeNow } from './decode.ts';
import { headerText, type InnerResponse } from './tap.ts';
import type { CallWatcher, Cut, UpstreamCall } from './upstream-call.ts';
import { asBuffer } from './write-reply.ts';

export interface WholeAnswerParts {
  readonly res: ServerResponse;
  readonly call: UpstreamCall;
  readonly flight: Flight;
  readonly faults: FaultLog;
  /** A larger answer is not read. */
  readonly maxBytes: number;
  /** The head is about to be written. */
  readonly headPasses: () => void;
}

/** Headers of the upstream's answer that say nothing of one that was put together. */
const ofItsBytes = ['content-encoding', 'transfer-encoding', 'etag', 'content-md5', 'digest'];

/**
 * Holds the answer to a part of a request back until it is there, and gives the client the answer to
 * all of it. One that does not fit goes on as it came; one that could not be read does not.
 */
export function completeAnswer(forwarded: ForwardedCall, parts: WholeAnswerParts): void {
  parts.call.watch(new HeldAnswer(forwarded, parts));
}

/** In place of the chunks of an answer that is not held any more. */
const tooLarge = Buffer.alloc(0);

class HeldAnswer implements CallWatcher {
  readonly #forwarded: ForwardedCall;
  readonly #parts: WholeAnswerParts;
  readonly #inner: InnerResponse;
  #isHeld = true;
  /** Of the answer that is held. */
  #status = 0;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(forwarded: ForwardedCall, parts: WholeAnswerParts) {
    const { res, headPasses } = parts;
    this.#forwarded = forwarded;
    this.#parts = parts;
    onHeaders(res, headPasses);
    this.#inner = { write: res.write, end: res.end };
    const { writeHead, flushHeaders } = res;
    res.writeHead = (...args: unknown[]) => {
      if (this.#isHeld) this.#head(args);
      else Reflect.apply(writeHead, res, args);
      return res;
    };
    res.flushHeaders = () => {
      if (!this.#isHeld) Reflect.apply(flushHeaders, res, []);
    };
    res.write = ((...args: unknown[]) => this.#write(args)) as typeof res.write;
    res.end = ((...args: unknown[]) => this.#end(args)) as typeof res.end;
  }

  outlivesClient(): boolean {
    return this.#parts.flight.leaderLeft();
  }

  cut(reason: Cut): void {
    this.#parts.flight.abort(reason);
  }

  /** What would be written: nothing is, and so it may yet change. */
  #head(args: readonly unknown[]): void {
    const { res } = this.#parts;
    res.statusCode = Number(args[0]);
    const [reason, headers] = typeof args[1] === 'string' ? [args[1], args[2]] : ['', args[1]];
    if (reason !== '') res.statusMessage = reason;
    const pairs = Array.isArray(headers) ? pairsOf(headers) : Object.entries(headers ?? {});
    for (const [name, value] of pairs) res.setHeader(name, value as string | string[]);
  }

  #write(args: readonly unknown[]): boolean {
    const { call, res } = this.#parts;
    call.keepAlive();
    if (!this.#isHeld) return Reflect.apply(this.#inner.write, res, args) as boolean;
    this.#hold(args);
    const then = args.at(-1);
    if (typeof then === 'function') process.nextTick(then);
    return true;
  }

  #end(args: readonly unknown[]): ServerResponse {
    const { call, res } = this.#parts;
    call.complete();
    if (this.#isHeld) {
      this.#hold(args);
      this.#open(this.#answer());
      const then = args.at(-1);
      Reflect.apply(this.#inner.end, res, typeof then === 'function' ? [then] : []);
    } else Reflect.apply(this.#inner.end, res, args);
    return res;
  }

  #hold([chunk, encoding]: readonly unknown[]): void {
    const { statusCode } = this.#parts.res;
    // Another handler answers in the place of an upstream that has broken off.
    if (statusCode !== this.#status) this.#chunks = [];
    if (this.#chunks[0] === tooLarge) return;
    this.#status = statusCode;
    const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
    if (typeof chunk === 'string') this.#chunks.push(Buffer.from(chunk, text));
    else if (chunk instanceof Uint8Array) this.#chunks.push(Buffer.from(chunk));
    this.#size = this.#chunks.reduce((sum, { length }) => sum + length, 0);
    if (this.#size > this.#parts.maxBytes) this.#chunks = [tooLarge];
  }

  /** The whole answer or, where there is none, what came. */
  #answer(): readonly Uint8Array[] {
    const { res, faults } = this.#parts;
    try {
      this.#read();
      const { unreadable } = this.#forwarded;
      if (unreadable !== null) {
        res.statusCode = unreadable.status;
        for (const name in unreadable.headers) res.setHeader(name, unreadable.headers[name] ?? '');
      }
      const whole = unreadable?.body ?? this.#forwarded.whole;
      if (whole === null) return this.#chunks;
      for (const name of ofItsBytes) res.removeHeader(name);
      res.setHeader('Content-Length', whole.length);
      return [whole];
    } catch (error) {
      faults.report('llm-cache: an answer could not be read', error);
      return this.#chunks;
    }
  }

  #read(): void {
    const { res, flight, maxBytes } = this.#parts;
    const header = (name: string) => headerText(res, name);
    flight.head(res.statusCode, header);
    if (this.#chunks[0] === tooLarge) return flight.abort('too-large');
    const bytes = Buffer.concat(this.#chunks);
    const decoded = decodeNow(header('content-encoding') ?? '', bytes, maxBytes);
    if (decoded === null) return flight.abort('encoding');
    flight.chunk(new Uint8Array(decoded));
    flight.end();
  }

  #open(chunks: readonly Uint8Array[]): void {
    this.#isHeld = false;
    this.#chunks = [];
    const { res } = this.#parts;
    for (const chunk of chunks) Reflect.apply(this.#inner.write, res, [asBuffer(chunk)]);
  }
}

/** Node takes names and values in one list as well. */
function pairsOf(list: readonly unknown[]): [string, unknown][] {
  const pairs: [string, unknown][] = [];
  for (let at = 0; at + 1 < list.length; at += 2) pairs.push([String(list[at]), list[at + 1]]);
  return pairs;
}
