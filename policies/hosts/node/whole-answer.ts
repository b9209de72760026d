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

/** What is needed to hold an answer back. */
export interface WholeAnswerParts {
  readonly res: ServerResponse;
  readonly call: UpstreamCall;
  readonly flight: Flight;
  readonly faults: FaultLog;
  /** The account that the held bytes are charged to. */
  readonly account: ByteAccount;
  /** The largest answer that is read, in bytes. */
  readonly maxBytes: number;
}

/**
 * Holds back the answer to a part of a request until it is complete, and sends the client the answer
 * to the whole request. An answer that is not the expected one, such as an error, is sent as it came.
 * A successful answer that could not be read is replaced by an error.
 */
export function completeAnswer(forwarded: ForwardedCall, parts: WholeAnswerParts): void {
  waitingLayers(parts.res)?.install();
  parts.call.watch(new HeldAnswer(forwarded, parts));
  // The head must not be flushed while it may change. Later, head and body are sent together.
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
  /** The status of the answer that is held. */
  #status = 0;
  #slabs: Slabs;
  /** Why the answer could not be held. */
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

  release(): void {
    this.#forwarded = null;
    this.#flight = null;
    this.#slabs.release();
  }

  override writeHead(args: unknown[]): void {
    // The head may still change, so it is only set on the response.
    if (this.#isHeld) takeHead(this.res, args);
    else super.writeHead(args);
  }

  override write(args: unknown[]): boolean {
    this.#call.keepAlive();
    if (!this.#isHeld) return super.write(args);
    this.#buffer(args);
    if (this.#isTooLong) {
      this.#passThrough();
      return super.write(args);
    }
    const then = args.at(-1);
    if (typeof then === 'function') process.nextTick(then);
    return true;
  }

  override end(args: unknown[]): void {
    this.#call.complete();
    if (!this.#isHeld) return super.end(args);
    this.#buffer(args);
    if (this.#isTooLong) {
      this.#passThrough();
      return super.end(args);
    }
    const chunks = this.#answer();
    this.#isHeld = false;
    for (const chunk of chunks) super.write([asBuffer(chunk)]);
    this.#slabs.release();
    const then = args.at(-1);
    super.end(typeof then === 'function' ? [then] : []);
  }

  #buffer([chunk, encoding]: readonly unknown[]): void {
    const { statusCode } = this.res;
    // A new status means that another handler answers in place of an upstream that broke off.
    if (statusCode !== this.#status) this.#restart(statusCode);
    if (this.#excess !== null) return;
    const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, text) : chunk;
    if (!(bytes instanceof Uint8Array)) return;
    if (this.#slabs.size + bytes.length > this.#maxBytes) this.#excess = 'too-large';
    // The bytes are copied, because their writer may reuse its buffer.
    else if (!this.#slabs.add(new Uint8Array(bytes))) this.#excess = 'buffer-limit';
  }

  /** Whether an answer other than a 200 is too large to hold. It is passed through. */
  get #isTooLong(): boolean {
    return this.#excess !== null && this.#status !== 200;
  }

  #passThrough(): void {
    this.#read();
    this.#isHeld = false;
    for (const chunk of this.#slabs.chunks) super.write([asBuffer(chunk)]);
    this.#slabs.release();
  }

  #restart(status: number): void {
    this.#slabs.release();
    this.#slabs = new Slabs(this.#account);
    this.#status = status;
    this.#excess = null;
  }

  /** The answer to the whole request or, if there is none, the answer as it came. */
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
