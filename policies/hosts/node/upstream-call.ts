import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { LeaderCall } from '../../llm-cache/flight.ts';
import type { AppRequest } from './app-request.ts';
import type { ResponseEnd } from './response-end.ts';
import type { GuardedCall, ResponseGuard, StandIn } from './response-guard.ts';
import { waitingLayers } from './waiting-layers.ts';

/** How long an answer without an upstream's message may be silent after its client has left. */
export interface Patience {
  /** Before its head, in milliseconds. A model may think for minutes. */
  readonly thinkingMs: number;
  /** After its head, in milliseconds. */
  readonly silentMs: number;
}

const defaultPatience: Patience = { thinkingMs: 10 * 60_000, silentMs: 15_000 };

/** Why an exchange ended before its answer did. */
export type Cut = 'aborted' | 'client-left';

/** A policy that watches the answer of a call. */
export interface CallWatcher {
  /** Returns whether the call continues without its client. Called when the client has left. */
  outlivesClient(): boolean;
  /** Called once if the answer will not complete. */
  cut(reason: Cut): void;
  /** Called when the response is complete. The watcher drops its references. */
  release(): void;
}

/**
 * The call to the upstream, connected with the response where http-proxy does not do so: when the
 * client leaves, the call ends, unless other requests want its answer.
 */
export class UpstreamCall implements LeaderCall, GuardedCall {
  #watchers: readonly CallWatcher[] = [];
  #isCut = false;
  readonly #req: AppRequest;
  readonly #res: ServerResponse;
  readonly #guard: ResponseGuard;
  readonly #patience: Patience;
  /** A stream that another handler pipes into the response, and that is no upstream's message. */
  #source: Readable | null = null;
  #isGone = false;
  /** The client has left, and the call continues. */
  #detached = false;
  /** The client left before its whole request had arrived. */
  #requestAborted = false;
  #silence: NodeJS.Timeout | undefined;

  constructor(
    req: AppRequest,
    res: ServerResponse,
    parts: { readonly end: ResponseEnd; readonly guard: ResponseGuard },
    patience = defaultPatience,
  ) {
    this.#req = req;
    this.#res = res;
    this.#guard = parts.guard;
    this.#patience = patience;
    parts.guard.notify(this);
    res.on('pipe', (source: Readable) => {
      if (!(source instanceof IncomingMessage)) this.#follow(source);
    });
    parts.end.first(() => this.#clientLeft());
    // A request that was read to its end cannot break, and a listener costs as much as a digest.
    if (req.readableEnded) return;
    req.once('aborted', () => {
      this.#requestAborted = true;
      this.abandon();
    });
  }

  /** The upstream's message; null before one reaches the response and after the response is over. */
  get message(): IncomingMessage | null {
    return this.#guard.message;
  }

  /** The status of the upstream's message; null before one reaches the response. */
  get providerStatus(): number | null {
    return this.#guard.providerStatus;
  }

  /** Lets `standIn` answer if the upstream fails before its first byte. */
  replaceFailures(standIn: StandIn): void {
    this.#guard.replaceFailures(standIn, () => this.#end());
  }

  watch(watcher: CallWatcher): void {
    this.#watchers = [...this.#watchers, watcher];
  }

  /** Ends a call that continued without its client. */
  abandon(): void {
    if (!this.#detached) return;
    this.complete();
    this.#giveUp();
  }

  /** Restarts the timeout of a silent answer, if its call continues without its client. */
  keepAlive(): void {
    if (!this.#detached || this.message !== null) return;
    clearTimeout(this.#silence);
    const { thinkingMs, silentMs } = this.#patience;
    const waitMs = this.#res.headersSent ? silentMs : thinkingMs;
    this.#silence = setTimeout(() => this.abandon(), waitMs).unref();
  }

  /** The answer is complete. */
  complete(): void {
    this.#detached = false;
    clearTimeout(this.#silence);
  }

  /** Resumes a pipe that waits for the client to read. */
  resume(): void {
    this.#res.emit('drain');
    // A wrapper may intercept `drain` and its listeners.
    if (this.message?.isPaused()) this.message.resume();
  }

  messageArrived(message: IncomingMessage): void {
    clearTimeout(this.#silence);
    if (!this.#isGone) return;
    if (this.#detached) this.#pump(message);
    else message.destroy();
  }

  answerFailed(): void {
    this.#cut('aborted');
  }

  /** Ends a call that continues without its client if the stream of its answer breaks off. */
  #follow(source: Readable): void {
    this.#source = source;
    source.once('close', () => {
      if (!source.readableEnded) this.abandon();
    });
  }

  #clientLeft(): void {
    // An answer that has arrived whole is complete, though its client has not got it.
    waitingLayers(this.#res)?.flush();
    if (this.#res.writableEnded) return this.#release();
    this.#isGone = true;
    this.#guard.clientLeft();
    const hasBroken = this.#source?.destroyed === true && !this.#source.readableEnded;
    if (this.#guard.hasFailed || hasBroken) return this.#cut('aborted');
    let outlives = false;
    for (const watcher of this.#watchers) outlives = watcher.outlivesClient() || outlives;
    this.#detached = outlives && !this.#requestAborted;
    if (!this.#detached) return this.#giveUp();
    // From now on the answer is written through the response's functions.
    waitingLayers(this.#res)?.install();
    this.#hideDisconnect();
    if (this.message !== null) this.#pump(this.message);
    else this.keepAlive();
  }

  /** http-proxy ignores a reset by the upstream if the request's socket is destroyed, so hide that. */
  #hideDisconnect(): void {
    const socket: unknown = Object.create(this.#req.socket, { destroyed: { value: false } });
    Object.defineProperty(this.#req, 'socket', { configurable: true, value: socket });
  }

  /** Replaces the proxy's pipe, which ended with the client, and writes through the same wrappers. */
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
   * Drops what the call refers to. Node and the proxy keep a finished request for some time, in
   * objects of the old generation, and what the request refers to would be promoted with it.
   */
  #release(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher.release();
    this.#guard.release();
  }

  #end(): void {
    if (this.message !== null) this.message.destroy();
    // Before the upstream's head, http-proxy ends its call when the request emits `aborted`.
    else this.#req.emit('aborted');
  }

  #cut(reason: Cut): void {
    if (this.#isCut) return;
    this.#isCut = true;
    for (const watcher of this.#watchers) watcher.cut(reason);
  }
}
