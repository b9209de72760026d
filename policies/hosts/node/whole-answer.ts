import type { ServerResponse } from 'node:http';
import type { Flight } from '../../llm-cache/flight.ts';
import type { ForwardedCall } from '../../llm-cache/forwarded-call.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { decodeNow } from './decode.ts';
import { ResponseLayer, takeHead } from './response-layer.ts';
import { headerText } from './tap.ts';
import { waitingLayers } from './waiting-layers.ts';
import type { CallWatcher, Cut, UpstreamCall } from './upstream-call.ts';
import { asBuffer } from './write-reply.ts';

export interface WholeAnswerParts {
  readonly res: ServerResponse;
  readonly call: UpstreamCall;
  readonly flight: Flight;
  readonly faults: FaultLog;
  /** A larger answer is not read. */
  readonly maxBytes: number;
}

/** Headers of the upstream's answer that say nothing of one that was put together. */
const ofItsBytes = ['content-encoding', 'transfer-encoding', 'etag', 'content-md5', 'digest'];

/**
 * Holds the answer to a part of a request back until it is there, and gives the client the answer to
 * all of it. One that does not fit goes on as it came; one that could not be read does not.
 */
export function completeAnswer(forwarded: ForwardedCall, parts: WholeAnswerParts): void {
  waitingLayers(parts.res)?.putAround();
  parts.call.watch(new HeldAnswer(forwarded, parts));
  // Nothing is flushed that may yet change, and then all of it comes at once.
  parts.res.flushHeaders = nothing;
}

const nothing = () => {};

/** In place of the chunks of an answer that is not held any more. */
const tooLarge = Buffer.alloc(0);

class HeldAnswer extends ResponseLayer implements CallWatcher {
  readonly #call: UpstreamCall;
  readonly #faults: FaultLog;
  readonly #maxBytes: number;
  #forwarded: ForwardedCall | null;
  #flight: Flight | null;
  #isHeld = true;
  /** Of the answer that is held. */
  #status = 0;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(forwarded: ForwardedCall, parts: WholeAnswerParts) {
    super(parts.res);
    this.#forwarded = forwarded;
    this.#call = parts.call;
    this.#flight = parts.flight;
    this.#faults = parts.faults;
    this.#maxBytes = parts.maxBytes;
  }

  outlivesClient(): boolean {
    return this.#flight?.leaderLeft() ?? false;
  }

  cut(reason: Cut): void {
    this.#flight?.abort(reason);
  }

  letGo(): void {
    this.#forwarded = null;
    this.#flight = null;
    this.#chunks = [];
  }

  override writeHead(args: unknown[]): void {
    // Nothing is written, and so it may yet change.
    if (this.#isHeld) takeHead(this.res, args);
    else super.writeHead(args);
  }

  override write(args: unknown[]): boolean {
    this.#call.keepAlive();
    if (!this.#isHeld) return super.write(args);
    this.#hold(args);
    const then = args.at(-1);
    if (typeof then === 'function') process.nextTick(then);
    return true;
  }

  override end(args: unknown[]): void {
    this.#call.complete();
    if (!this.#isHeld) return super.end(args);
    this.#hold(args);
    const chunks = this.#answer();
    this.#isHeld = false;
    this.#chunks = [];
    for (const chunk of chunks) super.write([asBuffer(chunk)]);
    const then = args.at(-1);
    super.end(typeof then === 'function' ? [then] : []);
  }

  #hold([chunk, encoding]: readonly unknown[]): void {
    const { statusCode } = this.res;
    // Another handler answers in the place of an upstream that has broken off.
    if (statusCode !== this.#status) this.#chunks = [];
    if (this.#chunks[0] === tooLarge) return;
    this.#status = statusCode;
    const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
    if (typeof chunk === 'string') this.#chunks.push(Buffer.from(chunk, text));
    else if (chunk instanceof Uint8Array) this.#chunks.push(Buffer.from(chunk));
    this.#size = this.#chunks.reduce((sum, { length }) => sum + length, 0);
    if (this.#size > this.#maxBytes) this.#chunks = [tooLarge];
  }

  /** The whole answer or, where there is none, what came. */
  #answer(): readonly Uint8Array[] {
    const { res } = this;
    try {
      this.#read();
      const unreadable = this.#forwarded?.unreadable ?? null;
      if (unreadable !== null) {
        res.statusCode = unreadable.status;
        res.statusMessage = '';
        for (const name in unreadable.headers) res.setHeader(name, unreadable.headers[name] ?? '');
      }
      const whole = unreadable?.body ?? this.#forwarded?.whole ?? null;
      if (whole === null) return this.#chunks;
      for (const name of ofItsBytes) res.removeHeader(name);
      res.setHeader('Content-Length', whole.length);
      return [whole];
    } catch (error) {
      this.#faults.report('llm-cache: an answer could not be read', error);
      return this.#chunks;
    }
  }

  #read(): void {
    const flight = this.#flight;
    if (flight === null) return;
    const header = (name: string) => headerText(this.res, name);
    flight.head(this.res.statusCode, header);
    if (this.#chunks[0] === tooLarge) return flight.abort('too-large');
    const bytes = Buffer.concat(this.#chunks);
    const decoded = decodeNow(header('content-encoding') ?? '', bytes, this.#maxBytes);
    if (decoded === null) return flight.abort('encoding');
    flight.chunk(new Uint8Array(decoded));
    flight.end();
  }
}
