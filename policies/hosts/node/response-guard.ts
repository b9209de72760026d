import { type ClientRequest, IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { FaultLog } from '../../shared/faults.ts';
import { breakOff } from './response-end.ts';
import { ResponseLayer } from './response-layer.ts';
import { waitingLayers } from './waiting-layers.ts';

/** Answers in place of an upstream that fails before its first byte. */
export interface StandIn {
  /** Whether an upstream's answer with that status is a failure. */
  isFailing(status: number): boolean;
  /** Whether an answer that comes from no upstream says that the upstream cannot be reached. */
  isFailure(status: number, text: unknown): boolean;
  /** `status` is the one that the upstream gave; null where it failed without one. */
  answer(status: number | null): void;
}

/** The call whose answer passes a guard. */
export interface GuardedCall {
  /** The upstream's message has come. */
  messageCame(message: IncomingMessage): void;
  /** The answer will not come to its end. */
  answerFailed(): void;
}

/**
 * Until the response is over: what an old WeakMap holds by a young key is kept as long as that key,
 * and here each holds the other.
 */
const guards = new WeakMap<ServerResponse, ResponseGuard>();

/** The guard of a response, one for all policies that see it. */
export function guardOf(
  req: IncomingMessage,
  res: ServerResponse,
  faults: FaultLog,
): ResponseGuard {
  let guard = guards.get(res);
  if (guard === undefined) {
    guard = new ResponseGuard(req, res, faults);
    guards.set(res, guard);
    res.once('close', () => guards.delete(res));
  }
  return guard;
}

/**
 * Holds a response that passes an upstream's message on to that message's own end. A proxy's error
 * handler ends the response of a message that broke off, and some go on to write behind the end;
 * here such a response breaks off after its head, and is a clean failure before it.
 */
export class ResponseGuard {
  /** The upstream's message; null as long as none is passed on, and when the response is over. */
  message: IncomingMessage | null = null;
  /** Its status; null as long as none has been passed on. */
  providerStatus: number | null = null;
  readonly #res: ServerResponse;
  readonly #faults: FaultLog;
  /** The message, as long as its end is to be the response's. */
  #passing: IncomingMessage | null = null;
  #call: GuardedCall | null = null;
  #standIn: StandIn | null = null;
  #hasFailed = false;
  #clientLeft = false;
  /** `replacing`: only what stands in is written. `closed`: nothing is. */
  #state: 'open' | 'replacing' | 'closed' = 'open';
  /** Null as long as there is nothing to guard. */
  #layer: ResponseLayer | null = null;

  constructor(req: IncomingMessage, res: ServerResponse, faults: FaultLog) {
    this.#res = res;
    this.#faults = faults;
    res.on('pipe', (source: Readable) => {
      if (source instanceof IncomingMessage && source !== req) this.#take(source);
    });
    res.on('unpipe', (source: Readable) => {
      // Another policy answers in the upstream's place.
      if (source === this.#passing && !this.#hasFailed && !this.#isGone) this.#passing = null;
    });
  }

  /** Tells `call` of its answer. */
  tell(call: GuardedCall): void {
    this.#call = call;
  }

  /** The call has failed, and no answer in its place has come to its end yet. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** The whole response is out. */
  letGo(): void {
    this.message = null;
    this.#passing = null;
    this.#call = null;
    this.#standIn = null;
  }

  /** From now on the answer may go on without a client. */
  clientLeft(): void {
    this.#clientLeft = true;
  }

  /** Lets `standIn` answer for an upstream that fails before its first byte; `giveUp` ends the call. */
  replaceFailures(standIn: StandIn, giveUp: () => void): void {
    this.#standIn = standIn;
    waitingLayers(this.#res)?.putAround();
    this.#install();
    // Without a listener Node closes the connection of a client whose upstream takes too long.
    this.#res.once('timeout', () => {
      if (this.#res.headersSent || this.#state !== 'open') return breakOff(this.#res);
      this.#replace(null);
      giveUp();
    });
  }

  #take(message: IncomingMessage): void {
    const res = this.#res;
    this.message = message;
    this.providerStatus = message.statusCode ?? null;
    if (this.#state === 'closed') return discard(message, res);
    const status = message.statusCode ?? 0;
    if (this.#isOpen && this.#standIn?.isFailing(status)) {
      discard(message, res);
      return this.#replace(status);
    }
    this.#passing = message;
    this.#install();
    // Before the proxy's own handler, which ends the response.
    callOf(message)?.prependListener('error', (error) => this.#callFailed(message, error));
    message.once('close', () => this.#fail());
    this.#call?.messageCame(message);
  }

  #install(): void {
    if (this.#layer !== null) return;
    const res = this.#res;
    this.#layer = new GuardLayer(this, res);
    // What is written behind the end by a wrapper that is late must not end the process.
    res.on('error', (error) => {
      this.#faults.report('llm-cache: a response was written to after its end', error);
    });
  }

  /** Whether what is about to be said must not be: it is no word of the upstream that answers. */
  overrules(status: number, text: unknown, isEnd: boolean): boolean {
    if (this.#state !== 'open') return this.#state === 'closed';
    const message = this.#passing;
    if (message === null) return this.#isUnreachable(status, text);
    if (message.readableEnded || !(isEnd || this.#hasFailed)) return false;
    // A whole message goes on to its own end, whatever became of the call behind it.
    if (!this.#hasFailed && message.complete && this.#res.headersSent) return true;
    if (!this.#hasFailed) this.#fail();
    if (this.#state !== 'open') return true;
    if (this.#standIn === null && status !== message.statusCode) {
      // An error handler's own answer, before the upstream's first byte.
      this.#passing = null;
      message.destroy();
      return false;
    }
    this.#replace(null);
    return true;
  }

  #isUnreachable(status: number, text: unknown): boolean {
    const isFailure = this.message === null && this.#isOpen;
    if (!isFailure || !this.#standIn?.isFailure(status, text)) return false;
    this.#replace(null);
    return true;
  }

  /** Within a pipe nothing but the process would catch what a wrapper throws. */
  caught(error: unknown): void {
    if (this.#passing === null) throw error;
    this.#faults.report('llm-cache: a response could not be written', error);
    // The end of the message, too, may have come to nothing.
    this.#fail(!this.#res.writableEnded);
  }

  #callFailed(message: IncomingMessage, error: NodeJS.ErrnoException): void {
    waitingLayers(this.#res)?.putAround();
    // RFC 9112, section 9.5: an upstream may answer and close before it has read the whole request.
    // After bytes that follow a whole message, the length that it declared is not to be trusted.
    if (message.complete && !error.code?.startsWith('HPE_')) {
      if (this.#isOpen && this.#passing === message) this.#res.writeHead(this.#res.statusCode);
    } else this.#fail();
  }

  /** The message has broken off, or does not come to its end by itself. */
  #fail(isUnwritten = false): void {
    const message = this.#passing;
    const isOver = message === null || (message.readableEnded && !isUnwritten);
    if (isOver || this.#hasFailed) return;
    this.#hasFailed = true;
    const res = this.#res;
    // The proxy's error handler answers by the response's functions.
    waitingLayers(res)?.putAround();
    if (this.#isGone) return this.#close();
    message.unpipe(res);
    if (res.headersSent) {
      this.#close();
      return breakOff(res);
    }
    for (const name in message.headers) res.removeHeader(name);
    res.statusMessage = '';
    // The proxy's error handler comes first: an application may have an answer of its own.
    setImmediate(() => {
      if (this.#passing !== null && this.#state === 'open') this.#replace(null);
    });
  }

  /** Answers before the head has gone out: with what stands in, else with a 502. */
  #replace(status: number | null): void {
    if (this.#isGone) return this.#close();
    this.#state = 'replacing';
    try {
      if (this.#standIn === null) this.#badGateway();
      else this.#standIn.answer(status);
    } catch (error) {
      this.#faults.report('llm-cache: a response could not be written', error);
      breakOff(this.#res);
    }
    this.#state = 'closed';
    this.#passing?.destroy();
  }

  #badGateway(): void {
    const res = this.#res;
    for (const name of ['content-encoding', 'content-length', 'transfer-encoding', 'etag']) {
      res.removeHeader(name);
    }
    res.statusCode = 502;
    res.statusMessage = '';
    res.setHeader('content-type', 'text/plain; charset=utf-8');
    res.end('Bad gateway.');
  }

  #close(): void {
    this.#state = 'closed';
    this.#passing?.destroy();
    this.#call?.answerFailed();
  }

  get #isGone(): boolean {
    return this.#clientLeft || this.#res.destroyed;
  }

  get #isOpen(): boolean {
    return this.#state === 'open' && !this.#res.headersSent && !this.#isGone;
  }
}

/** Where a guard stands in a response's way. */
class GuardLayer extends ResponseLayer {
  readonly #guard: ResponseGuard;

  constructor(guard: ResponseGuard, res: ServerResponse) {
    super(res);
    this.#guard = guard;
  }

  override writeHead(args: unknown[]): void {
    if (this.#guard.overrules(Number(args[0]), undefined, false)) return;
    // Within `write` the head is part of what is caught there.
    if (waitingLayers(this.res) === undefined) return super.writeHead(args);
    try {
      super.writeHead(args);
    } catch (error) {
      this.#guard.caught(error);
    }
  }

  override write(args: unknown[]): boolean {
    if (this.#guard.overrules(this.res.statusCode, args[0], false)) return unsaid(args);
    try {
      return super.write(args);
    } catch (error) {
      this.#guard.caught(error);
      return true;
    }
  }

  override end(args: unknown[]): void {
    if (this.#guard.overrules(this.res.statusCode, args[0], true)) {
      unsaid(args);
      return;
    }
    try {
      super.end(args);
    } catch (error) {
      this.#guard.caught(error);
    }
  }
}

/** The call that the message answers, which Node tells of and its types do not. */
function callOf(message: IncomingMessage & { readonly req?: ClientRequest }): ClientRequest | null {
  return message.req ?? null;
}

function discard(message: IncomingMessage, res: ServerResponse): void {
  message.unpipe(res);
  message.destroy();
}

/** True, as for what was written. */
function unsaid(args: readonly unknown[]): true {
  const then = args.at(-1);
  if (typeof then === 'function') process.nextTick(then);
  return true;
}
