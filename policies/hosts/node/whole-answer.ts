import type { ServerResponse } from 'node:http';
import type { Flight } from '../../llm-cache/flight.ts';
import { type ForwardedCall, headersOfItsBytes } from '../../llm-cache/forwarded-call.ts';
import type { ByteAccount } from '../../shared/bytes/budget.ts';
import { Slabs } from '../../shared/bytes/slabs.ts';
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
  /** Where what is held is accounted for. */
  readonly account: ByteAccount;
  /** A larger answer is not read. */
  readonly maxBytes: number;
}

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

class HeldAnswer extends ResponseLayer implements CallWatcher {
  readonly #call: UpstreamCall;
  readonly #faults: FaultLog;
  readonly #account: ByteAccount;
  readonly #maxBytes: number;
  #forwarded: ForwardedCall | null;
  #flight: Flight | null;
  #isHeld = true;
  /** Of the answer that is held. */
  #status = 0;
  #slabs: Slabs;
  /** Why it is not held any more. */
  #excess: 'too-large' | 'buffer-limit' | null = null;

  constructor(forwarded: ForwardedCall, parts: WholeAnswerParts) {
    super(parts.res);
    this.#forwarded = forwarded;
    this.#call = parts.call;
    this.#flight = parts.flight;
    this.#faults = parts.faults;
    this.#account = parts.account;
    this.#maxBytes = parts.maxBytes;
    this.#slabs = new Slabs(parts.account);
  }

  outlivesClient(): boolean {
    return this.#flight?.leaderLeft() ?? false;
  }

  cut(reason: Cut): void {
    this.#flight?.abort(reason);
    this.#slabs.release();
  }

  letGo(): void {
    this.#forwarded = null;
    this.#flight = null;
    this.#slabs.release();
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
    if (this.#isTooLong) {
      this.#letPass();
      return super.write(args);
    }
    const then = args.at(-1);
    if (typeof then === 'function') process.nextTick(then);
    return true;
  }

  override end(args: unknown[]): void {
    this.#call.complete();
    if (!this.#isHeld) return super.end(args);
    this.#hold(args);
    if (this.#isTooLong) {
      this.#letPass();
      return super.end(args);
    }
    const chunks = this.#answer();
    this.#isHeld = false;
    for (const chunk of chunks) super.write([asBuffer(chunk)]);
    this.#slabs.release();
    const then = args.at(-1);
    super.end(typeof then === 'function' ? [then] : []);
  }

  #hold([chunk, encoding]: readonly unknown[]): void {
    const { statusCode } = this.res;
    // Another handler answers in the place of an upstream that has broken off.
    if (statusCode !== this.#status) this.#begin(statusCode);
    if (this.#excess !== null) return;
    const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, text) : chunk;
    if (!(bytes instanceof Uint8Array)) return;
    if (this.#slabs.size + bytes.length > this.#maxBytes) this.#excess = 'too-large';
    // A copy: who has made the bytes may use them again.
    else if (!this.#slabs.add(new Uint8Array(bytes))) this.#excess = 'buffer-limit';
  }

  /** An answer that is no part of any, such as an error, and more of it than can be held. */
  get #isTooLong(): boolean {
    return this.#excess !== null && this.#status !== 200;
  }

  #letPass(): void {
    this.#read();
    this.#isHeld = false;
    for (const chunk of this.#slabs.chunks) super.write([asBuffer(chunk)]);
    this.#slabs.release();
  }

  #begin(status: number): void {
    this.#slabs.release();
    this.#slabs = new Slabs(this.#account);
    this.#status = status;
    this.#excess = null;
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
      if (whole === null) return this.#slabs.chunks;
      for (const name of headersOfItsBytes) res.removeHeader(name);
      res.setHeader('Content-Length', whole.length);
      return [whole];
    } catch (error) {
      this.#faults.report('llm-cache: an answer could not be read', error);
      return this.#slabs.chunks;
    }
  }

  #read(): void {
    const flight = this.#flight;
    if (flight === null) return;
    const header = (name: string) => headerText(this.res, name);
    flight.head(this.res.statusCode, header);
    if (this.#excess !== null) return flight.abort(this.#excess);
    const bytes = this.#slabs.join();
    const decoded = decodeNow(header('content-encoding') ?? '', bytes, this.#maxBytes);
    if (decoded === null) return flight.abort('encoding');
    flight.chunk(new Uint8Array(decoded));
    flight.end();
  }
}
