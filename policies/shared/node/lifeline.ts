import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { AppRequest } from './gateway.ts';
import type { Over } from './over.ts';

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
 * Ties the upstream's answer and the client's response together where http-proxy does not: whose
 * other side is gone does not go on alone, unless somebody wants the rest.
 */
export class Lifeline {
  /** The upstream's message; null as long as none is being passed on. */
  upstream: IncomingMessage | null = null;
  /** Asked when the client has left: whether the call goes on without it. */
  goesOn: () => boolean = () => false;
  /** Asked when the upstream died before its first byte: whether somebody else answers. */
  isRescued: () => boolean = () => false;
  /** Told, once, when the answer will not come to its end. */
  onCut: ((reason: Cut) => void)[] = [];
  readonly #req: AppRequest;
  readonly #res: ServerResponse;
  #isGone = false;
  /** The client has left, and the call goes on. */
  #detached = false;
  /** The client left before its request had been forwarded whole. */
  #requestBroke = false;
  readonly #patience: Patience;
  #silence: NodeJS.Timeout | undefined;

  constructor(req: AppRequest, res: ServerResponse, over: Over, patience = usual) {
    this.#patience = patience;
    this.#req = req;
    this.#res = res;
    res.on('pipe', (source: Readable) => {
      if (source instanceof IncomingMessage && source !== req) this.#take(source);
    });
    over.first(() => this.#clientLeft());
    req.once('aborted', () => {
      this.#requestBroke = true;
      this.abandon();
    });
  }

  /** Ends a call that went on without its client. */
  abandon(): void {
    if (!this.#detached) return;
    this.settle();
    this.#giveUp();
  }

  /** A sign of life of the answer. */
  stir(): void {
    if (!this.#detached || this.upstream !== null) return;
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

  #take(upstream: IncomingMessage): void {
    this.upstream = upstream;
    clearTimeout(this.#silence);
    upstream.once('close', () => {
      if (!upstream.complete) this.#upstreamDied();
    });
    if (!this.#isGone) return;
    if (this.#detached) this.#drive(upstream);
    else upstream.destroy();
  }

  #clientLeft(): void {
    if (this.#res.writableEnded) return;
    this.#isGone = true;
    if (this.upstream?.destroyed && !this.upstream.complete) return this.#cut('aborted');
    this.#detached = this.goesOn() && !this.#requestBroke;
    if (!this.#detached) return this.#giveUp();
    this.#stayInformed();
    if (this.upstream !== null) this.#drive(this.upstream);
    else this.stir();
  }

  /** http-proxy tells nobody of a call that is reset when the client is gone; this one is not that client's any more. */
  #stayInformed(): void {
    const socket: unknown = Object.create(this.#req.socket, { destroyed: { value: false } });
    Object.defineProperty(this.#req, 'socket', { configurable: true, value: socket });
  }

  /** Carries the answer through the pipeline's wrappers to a client that is not there, as the proxy's pipe did. */
  #drive(upstream: IncomingMessage): void {
    upstream.unpipe(this.#res);
    upstream.on('data', (bytes: Buffer) => this.#res.write(bytes));
    upstream.once('end', () => this.#res.end());
    upstream.resume();
  }

  #giveUp(): void {
    if (this.upstream !== null) this.upstream.destroy();
    // Without a head from the upstream yet, this is how http-proxy is told to give up.
    else this.#req.emit('aborted');
    this.#cut('client-left');
  }

  #upstreamDied(): void {
    const res = this.#res;
    if (res.writableEnded) return;
    if (this.#isGone) this.#cut('aborted');
    else if (res.headersSent) res.destroy();
    else if (!this.isRescued()) this.#badGateway();
  }

  #badGateway(): void {
    const res = this.#res;
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    res.statusCode = 502;
    res.statusMessage = 'Bad Gateway';
    res.setHeader('content-type', 'text/plain; charset=utf-8');
    res.end('Bad gateway.');
  }

  #cut(reason: Cut): void {
    for (const tell of this.onCut.splice(0)) tell(reason);
  }
}
