import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { AppRequest } from './host-request.ts';
import type { ResponseEnd } from './response-end.ts';
import type { ResponseGuard, StandIn } from './response-guard.ts';

/** How long an answer that comes from no upstream's message may be silent once its client has left. */
export interface Patience {
  /** Before its head, in milliseconds: a model may think for minutes. */
  readonly thinkingMs: number;
  /** After it, in milliseconds. */
  readonly silentMs: number;
}

const usual: Patience = { thinkingMs: 10 * 60_000, silentMs: 15_000 };

/** Why an exchange ended before its answer did. */
export type Cut = 'aborted' | 'client-left';

/**
 * The call to the upstream and the response to the client, tied together where http-proxy does not:
 * a call whose client has left ends, unless others want its answer.
 */
export class UpstreamCall {
  /** Asked when the client has left: whether the call goes on without it. */
  goesOn: () => boolean = () => false;
  /** Told, once, when the answer will not come to its end. */
  onCut: ((reason: Cut) => void)[] = [];
  readonly #req: AppRequest;
  readonly #res: ServerResponse;
  readonly #guard: ResponseGuard;
  readonly #patience: Patience;
  /** What another handler pipes into the response, of its own making. */
  #source: Readable | null = null;
  #isGone = false;
  /** The client has left, and the call goes on. */
  #detached = false;
  /** The client left before its request had been forwarded whole. */
  #requestBroke = false;
  #silence: NodeJS.Timeout | undefined;

  constructor(
    req: AppRequest,
    res: ServerResponse,
    parts: { readonly end: ResponseEnd; readonly guard: ResponseGuard },
    patience = usual,
  ) {
    this.#req = req;
    this.#res = res;
    this.#guard = parts.guard;
    this.#patience = patience;
    parts.guard.onMessage = (message) => this.#take(message);
    parts.guard.onFailure = () => this.#cut('aborted');
    res.on('pipe', (source: Readable) => {
      if (!(source instanceof IncomingMessage)) this.#follow(source);
    });
    parts.end.first(() => this.#clientLeft());
    req.once('aborted', () => {
      this.#requestBroke = true;
      this.abandon();
    });
  }

  /** The upstream's message; null as long as none is passed on. */
  get message(): IncomingMessage | null {
    return this.#guard.message;
  }

  /** Lets `standIn` answer for an upstream that fails before its first byte. */
  replaceFailures(standIn: StandIn): void {
    this.#guard.replaceFailures(standIn, () => this.#end());
  }

  /** Ends a call that went on without its client. */
  abandon(): void {
    if (!this.#detached) return;
    this.settle();
    this.#giveUp();
  }

  /** A sign of life of the answer. */
  stir(): void {
    if (!this.#detached || this.message !== null) return;
    clearTimeout(this.#silence);
    const { thinkingMs, silentMs } = this.#patience;
    const waitMs = this.#res.headersSent ? silentMs : thinkingMs;
    this.#silence = setTimeout(() => this.abandon(), waitMs).unref();
  }

  /** The answer has come to its end. */
  settle(): void {
    this.#detached = false;
    clearTimeout(this.#silence);
  }

  /** A pipe that waits for the client alone goes on. */
  resume(): void {
    this.#res.emit('drain');
    // A wrapper may keep the listeners of `drain` to itself.
    if (this.message?.isPaused()) this.message.resume();
  }

  #take(message: IncomingMessage): void {
    clearTimeout(this.#silence);
    if (!this.#isGone) return;
    if (this.#detached) this.#drive(message);
    else message.destroy();
  }

  /** A call that goes on without its client ends with the stream that its answer comes from. */
  #follow(source: Readable): void {
    this.#source = source;
    source.once('close', () => {
      if (!source.readableEnded) this.abandon();
    });
  }

  #clientLeft(): void {
    if (this.#res.writableEnded) return;
    this.#isGone = true;
    this.#guard.clientLeft();
    const hasBroken = this.#source?.destroyed === true && !this.#source.readableEnded;
    if (this.#guard.hasFailed || hasBroken) return this.#cut('aborted');
    this.#detached = this.goesOn() && !this.#requestBroke;
    if (!this.#detached) return this.#giveUp();
    this.#stayInformed();
    if (this.message !== null) this.#drive(this.message);
    else this.stir();
  }

  /** http-proxy reports no reset of a call whose client is gone; this call is no longer that client's. */
  #stayInformed(): void {
    const socket: unknown = Object.create(this.#req.socket, { destroyed: { value: false } });
    Object.defineProperty(this.#req, 'socket', { configurable: true, value: socket });
  }

  /** Carries the answer through the pipeline's wrappers to a client that is not there, as the proxy's pipe did. */
  #drive(message: IncomingMessage): void {
    message.unpipe(this.#res);
    message.on('data', (bytes: Buffer) => this.#res.write(bytes));
    message.once('end', () => this.#res.end());
    message.resume();
  }

  #giveUp(): void {
    this.#end();
    this.#cut('client-left');
  }

  #end(): void {
    if (this.message !== null) this.message.destroy();
    // Without a head from the upstream yet, this is how http-proxy is told to give up.
    else this.#req.emit('aborted');
  }

  #cut(reason: Cut): void {
    for (const tell of this.onCut.splice(0)) tell(reason);
  }
}
