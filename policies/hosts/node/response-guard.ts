import { type ClientRequest, IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { FaultLog } from '../../shared/faults.ts';
import { breakOff } from './response-end.ts';
import { GuardLayer, type Overruling } from './guard-layer.ts';
import type { ResponseLayer } from './response-layer.ts';
import { waitingLayers } from './waiting-layers.ts';

/** An answer that replaces the failure of an upstream before its first byte. */
export interface StandIn {
  /** Whether an upstream's answer with this status is a failure. */
  isFailing(status: number): boolean;
  /** Whether an answer without an upstream's message says that the upstream is unreachable. */
  isFailure(status: number, text: unknown): boolean;
  /** Writes the answer. `status` is the upstream's; null if the upstream failed without one. */
  answer(status: number | null): void;
}

/** The call whose answer passes through a guard. */
export interface GuardedCall {
  /** Called when the upstream's message has arrived. */
  messageArrived(message: IncomingMessage): void;
  /** Called when the answer will not complete. */
  answerFailed(): void;
}

/**
 * An entry is deleted when its response closes. An old WeakMap keeps the value of a young key alive,
 * and here the value refers to the key as well, so that neither would be freed while young.
 */
const guards = new WeakMap<ServerResponse, ResponseGuard>();

/** Returns the guard of a response, which all policies that see the response share. */
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
 * Makes a response end as the upstream's message does. If a message breaks off, a proxy's error
 * handler ends the response as if it were complete, and some handlers write after the end. The guard
 * breaks off such a response after its head, and replaces it with a clean failure before its head.
 */
export class ResponseGuard implements Overruling {
  /** The upstream's message; null before one reaches the response and after the response is over. */
  message: IncomingMessage | null = null;
  /** The status of the upstream's message; null before one reaches the response. */
  providerStatus: number | null = null;
  readonly #res: ServerResponse;
  readonly #faults: FaultLog;
  /** The message, while the response must end as it does. */
  #passing: IncomingMessage | null = null;
  #call: GuardedCall | null = null;
  #standIn: StandIn | null = null;
  #hasFailed = false;
  #clientLeft = false;
  /** `replacing`: only the replacement is written. `closed`: nothing is written. */
  #state: 'open' | 'replacing' | 'closed' = 'open';
  /** Null until there is something to guard. */
  #layer: ResponseLayer | null = null;

  constructor(req: IncomingMessage, res: ServerResponse, faults: FaultLog) {
    this.#res = res;
    this.#faults = faults;
    res.on('pipe', (source: Readable) => {
      if (source instanceof IncomingMessage && source !== req) this.#take(source);
    });
    res.on('unpipe', (source: Readable) => {
      // Another policy answers in place of the upstream.
      if (source === this.#passing && !this.#hasFailed && !this.#isGone) this.#passing = null;
    });
  }

  /** Registers the call that is notified about its answer. */
  notify(call: GuardedCall): void {
    this.#call = call;
  }

  /** Whether the message broke off before its end. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Drops all references once the whole response has been written. */
  release(): void {
    this.message = null;
    this.#passing = null;
    this.#call = null;
    this.#standIn = null;
  }

  /** The client has left. From now on the answer may continue without it. */
  clientLeft(): void {
    this.#clientLeft = true;
  }

  /** Lets `standIn` answer if the upstream fails before its first byte. `giveUp` ends the call. */
  replaceFailures(standIn: StandIn, giveUp: () => void): void {
    this.#standIn = standIn;
    waitingLayers(this.#res)?.install();
    this.#install();
    // Without a listener, Node closes the client's connection when the upstream takes too long.
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
    // This must run before the proxy's own handler, which ends the response.
    callOf(message)?.prependListener('error', (error) => this.#callFailed(message, error));
    message.once('close', () => this.#fail());
    this.#call?.messageArrived(message);
  }

  #install(): void {
    if (this.#layer !== null) return;
    const res = this.#res;
    this.#layer = new GuardLayer(this, res);
    // A late write by another policy's wrapper must not crash the process.
    res.on('error', (error) => {
      this.#faults.report('llm-cache: a response was written to after its end', error);
    });
  }

  /** Whether to suppress a write or head because it is not the upstream message's own. */
  overrules(status: number, text: unknown, isEnd: boolean): boolean {
    if (this.#state !== 'open') return this.#state === 'closed';
    const message = this.#passing;
    if (message === null) return this.#isUnreachable(status, text);
    if (message.readableEnded || !(isEnd || this.#hasFailed)) return false;
    // A complete message continues to its own end, even if its call has failed.
    if (!this.#hasFailed && message.complete && this.#res.headersSent) return true;
    if (!this.#hasFailed) this.#fail();
    if (this.#state !== 'open') return true;
    if (this.#standIn === null && status !== message.statusCode) {
      // This is an error handler's own answer, before the upstream's first byte.
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

  /** Handles an exception of another policy's wrapper. In a pipe, only the process would catch it. */
  handleThrown(error: unknown): void {
    if (this.#passing === null) throw error;
    this.#faults.report('llm-cache: a response could not be written', error);
    // The write that threw may have been the end of the message.
    this.#fail(!this.#res.writableEnded);
  }

  #callFailed(message: IncomingMessage, error: NodeJS.ErrnoException): void {
    waitingLayers(this.#res)?.install();
    // RFC 9112, section 9.5: an upstream may answer and close before it has read the whole request.
    // If bytes follow a complete message (HPE_…), its declared length cannot be trusted.
    if (message.complete && !error.code?.startsWith('HPE_')) {
      if (this.#isOpen && this.#passing === message) this.#res.writeHead(this.#res.statusCode);
    } else this.#fail();
  }

  /** The message broke off, or the response cannot follow it to its end. */
  #fail(isUnwritten = false): void {
    const message = this.#passing;
    const isOver = message === null || (message.readableEnded && !isUnwritten);
    if (isOver || this.#hasFailed) return;
    const res = this.#res;
    // The proxy's error handler answers through the response's functions. What came before goes out.
    waitingLayers(res)?.install();
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    if (this.#isGone) return this.#close();
    message.unpipe(res);
    if (res.headersSent) {
      this.#close();
      return breakOff(res);
    }
    for (const name in message.headers) res.removeHeader(name);
    res.statusMessage = '';
    // The proxy's error handler runs first, because the application may have an answer of its own.
    setImmediate(() => {
      if (this.#passing !== null && this.#state === 'open') this.#replace(null);
    });
  }

  /** Answers with the stand-in, or with a 502 if there is none. The head is not out yet. */
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

/** The call that the message answers. Node sets `req` on it, but Node's types omit that. */
function callOf(message: IncomingMessage & { readonly req?: ClientRequest }): ClientRequest | null {
  return message.req ?? null;
}

function discard(message: IncomingMessage, res: ServerResponse): void {
  message.unpipe(res);
  message.destroy();
}
