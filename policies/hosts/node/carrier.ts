import { type ClientRequest, IncomingMessage, type ServerResponse } from 'node:http';
import { isBare } from './response-functions.ts';
import { WaitingLayers } from './waiting-layers.ts';

const carrierOf = Symbol('llm-cache carrier');

interface Carried extends IncomingMessage {
  [carrierOf]?: Carrier;
}

/**
 * Carries the message of an upstream into a response, through its layers, in the place of the pipe
 * of a proxy that nothing but the proxy itself stands behind.
 */
export class Carrier {
  readonly #res: ServerResponse;
  readonly #layers: WaitingLayers;
  /** What is on its way into the response; null where there is none, or it was taken away. */
  #message: IncomingMessage | null = null;
  #hasCall = false;
  #hasHead = false;

  private constructor(res: ServerResponse, layers: WaitingLayers) {
    this.#res = res;
    this.#layers = layers;
  }

  /** Null where an earlier policy wraps the response: it may know no functions but the response's. */
  static of(res: ServerResponse, whenOver: (then: () => void) => void): Carrier | null {
    return isBare(res) ? new Carrier(res, new WaitingLayers(res, whenOver)) : null;
  }

  /** The proxy calls the upstream. */
  follow(call: ClientRequest): void {
    this.#hasCall = true;
    // Before the proxy's own listeners, for its error handler answers by the response's functions.
    call.prependListener('error', () => this.#layers.putAround());
    call.once('response', (message: Carried) => {
      message[carrierOf] = this;
      message.pipe = pipe;
      message.unpipe = unpipe;
    });
  }

  /** The proxy has had the request: where it calls no upstream, it answers by itself. */
  passedOn(): void {
    if (!this.#hasCall) this.#layers.putAround();
  }

  carries(to: unknown): boolean {
    return to === this.#res && this.#layers.isWaiting;
  }

  /** As a pipe would; the head is in the response by now. */
  take(message: IncomingMessage): void {
    const res = this.#res;
    this.#message = message;
    res.emit('pipe', message);
    message.on('data', (chunk: Buffer) => {
      if (this.#message === null) return;
      this.#writeHead();
      // A head that cannot be written takes it away.
      if (this.#message !== null && !this.#layers.top.write([chunk])) message.pause();
    });
    message.on('end', () => {
      if (this.#message === null) return;
      this.#writeHead();
      if (this.#message !== null) this.#layers.top.end([]);
    });
    res.on('drain', () => message.resume());
  }

  letGo(message: IncomingMessage): void {
    if (this.#message !== message) return;
    this.#message = null;
    this.#res.emit('unpipe', message);
  }

  #writeHead(): void {
    if (this.#hasHead) return;
    this.#hasHead = true;
    this.#layers.top.writeHead([this.#res.statusCode]);
  }
}

const inNode = IncomingMessage.prototype;

/** The same functions for all messages, which have one hidden class. */
function pipe<T extends NodeJS.WritableStream>(
  this: Carried,
  to: T,
  options?: { readonly end?: boolean },
): T {
  const carrier = this[carrierOf];
  if (carrier === undefined || !carrier.carries(to))
    return inNode.pipe.call(this, to, options) as T;
  carrier.take(this);
  return to;
}

function unpipe<T extends IncomingMessage>(this: T & Carried, from?: NodeJS.WritableStream): T {
  this[carrierOf]?.letGo(this);
  inNode.unpipe.call(this, from);
  return this;
}
