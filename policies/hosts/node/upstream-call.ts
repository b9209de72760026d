import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { LeaderCall } from '../../llm-cache/flight.ts';
import type { AppRequest } from './app-request.ts';
import type { ResponseEnd } from './response-end.ts';
import type { GuardedCall, ResponseGuard, StandIn } from './response-guard.ts';
import { waitingLayers } from './waiting-layers.ts';

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

/** A policy that sees the answer of a call. */
export interface CallWatcher {
  /** Asked when the client has left: whether the call goes on without it. */
  outlivesClient(): boolean;
  /** Told, once, when the answer will not come to its end. */
  cut(reason: Cut): void;
  /** Told when nothing of the call is yet to come: what it holds is garbage from now on. */
  letGo(): void;
}

/**
 * The call to the upstream and the response to the client, tied together where http-proxy does not:
 * a call whose client has left ends, unless others want its answer.
 */
export class UpstreamCall implements LeaderCall, GuardedCall {
  #watchers: readonly CallWatcher[] = [];
  #isCut = false;
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
    parts.guard.tell(this);
    res.on('pipe', (source: Readable) => {
      if (!(source instanceof IncomingMessage)) this.#follow(source);
    });
    parts.end.first(() => this.#clientLeft());
    req.once('aborted', () => {
      this.#requestBroke = true;
      this.abandon();
    });
  }

  /** The upstream's message; null as long as none is passed on, and when it is over. */
  get message(): IncomingMessage | null {
    return this.#guard.message;
  }

  /** The status of the upstream's message; null as long as none has been passed on. */
  get providerStatus(): number | null {
    return this.#guard.providerStatus;
  }

  /** Lets `standIn` answer for an upstream that fails before its first byte. */
  replaceFailures(standIn: StandIn): void {
    this.#guard.replaceFailures(standIn, () => this.#end());
  }

  watch(watcher: CallWatcher): void {
    this.#watchers = [...this.#watchers, watcher];
  }

  /** Ends a call that went on without its client. */
  abandon(): void {
    if (!this.#detached) return;
    this.complete();
    this.#giveUp();
  }

  /** A sign of life of the answer. */
  keepAlive(): void {
    if (!this.#detached || this.message !== null) return;
    clearTimeout(this.#silence);
    const { thinkingMs, silentMs } = this.#patience;
    const waitMs = this.#res.headersSent ? silentMs : thinkingMs;
    this.#silence = setTimeout(() => this.abandon(), waitMs).unref();
  }

  /** The answer has come to its end. */
  complete(): void {
    this.#detached = false;
    clearTimeout(this.#silence);
  }

  /** A pipe that waits for the client alone goes on. */
  resume(): void {
    this.#res.emit('drain');
    // A wrapper may keep the listeners of `drain` to itself.
    if (this.message?.isPaused()) this.message.resume();
  }

  messageCame(message: IncomingMessage): void {
    clearTimeout(this.#silence);
    if (!this.#isGone) return;
    if (this.#detached) this.#pump(message);
    else message.destroy();
  }

  answerFailed(): void {
    this.#cut('aborted');
  }

  /** A call that goes on without its client ends with the stream that its answer comes from. */
  #follow(source: Readable): void {
    this.#source = source;
    source.once('close', () => {
      if (!source.readableEnded) this.abandon();
    });
  }

  #clientLeft(): void {
    if (this.#res.writableEnded) return this.#letGo();
    this.#isGone = true;
    this.#guard.clientLeft();
    const hasBroken = this.#source?.destroyed === true && !this.#source.readableEnded;
    if (this.#guard.hasFailed || hasBroken) return this.#cut('aborted');
    let outlives = false;
    for (const watcher of this.#watchers) outlives = watcher.outlivesClient() || outlives;
    this.#detached = outlives && !this.#requestBroke;
    if (!this.#detached) return this.#giveUp();
    // From now on the answer comes by the response's functions.
    waitingLayers(this.#res)?.putAround();
    this.#stayInformed();
    if (this.message !== null) this.#pump(this.message);
    else this.keepAlive();
  }

  /** http-proxy reports no reset of a call whose client is gone; this call is no longer that client's. */
  #stayInformed(): void {
    const socket: unknown = Object.create(this.#req.socket, { destroyed: { value: false } });
    Object.defineProperty(this.#req, 'socket', { configurable: true, value: socket });
  }

  /** Carries the answer through the pipeline's wrappers to a client that is not there, as the proxy's pipe did. */
  #pump(message: IncomingMessage): void {
    message.unpipe(this.#res);
    message.on('data', (bytes: Buffer) => this.#res.write(bytes));
    message.once('end', () => this.#res.end());
    message.resume();
  }

  #giveUp(): void {
    this.#end();
    this.#cut('client-left');
  }

  /**
   * Node and the proxy keep a request for some time when it is over, in objects that are old by then;
   * what hangs on it is cut off, so that it does not grow old with it.
   */
  #letGo(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher.letGo();
    this.#guard.letGo();
  }

  #end(): void {
    if (this.message !== null) this.message.destroy();
    // Without a head from the upstream yet, this is how http-proxy is told to give up.
    else this.#req.emit('aborted');
  }

  #cut(reason: Cut): void {
    if (this.#isCut) return;
    this.#isCut = true;
    for (const watcher of this.#watchers) watcher.cut(reason);
  }
}
