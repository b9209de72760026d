import { type ClientRequest, IncomingMessage, type ServerResponse } from 'node:http';
import { isUnwrapped } from './response-functions.ts';
import { inTurn } from './turn.ts';
import { WaitingLayers } from './waiting-layers.ts';

/** The most bytes of a message that wait for the end of a turn. */
const maxHeldBytes = 128 * 1024;
/** Pieces of one turn that are no larger together are written as one. */
const maxJoinedBytes = 16 * 1024;

/** How many responses have a carrier now. */
let carried = 0;

const carrierOf = Symbol('llm-cache carrier');

interface Carried extends IncomingMessage {
  [carrierOf]?: Carrier;
}

/**
 * Carries an upstream's message through the layers of a response, in place of the proxy's own pipe.
 * It is used if only the proxy itself will write the response. What arrives in one turn of the event
 * loop is written at its end, so that answers which came together leave together; a lone answer has
 * none to wait for.
 */
export class Carrier {
  readonly #res: ServerResponse;
  readonly #layers: WaitingLayers;
  /** The message that is written into the response; null before it arrives and after it is detached. */
  #message: IncomingMessage | null = null;
  #hasCall = false;
  #hasHead = false;
  /** What has arrived in this turn. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #hasEnded = false;

  private constructor(res: ServerResponse, whenOver: (then: () => void) => void) {
    this.#res = res;
    this.#layers = new WaitingLayers(res, whenOver, this.#flush);
  }

  /** Returns null if an earlier policy wraps the response, and so must see its functions called. */
  static of(res: ServerResponse, whenOver: (then: () => void) => void): Carrier | null {
    if (!isUnwrapped(res)) return null;
    carried++;
    whenOver(() => carried--);
    return new Carrier(res, whenOver);
  }

  /** Follows the proxy's call to the upstream, and takes over the pipe of its message. */
  follow(call: ClientRequest): void {
    this.#hasCall = true;
    // This must run before the proxy's error handler, which answers through the response's functions.
    call.prependListener('error', () => this.#layers.install());
    call.once('response', (message: Carried) => {
      message[carrierOf] = this;
      message.pipe = pipe;
      message.unpipe = unpipe;
    });
  }

  /** The proxy's handler has returned. If it made no call, it answers by itself. */
  nextReturned(): void {
    if (!this.#hasCall) this.#layers.install();
  }

  /** Whether a pipe into `to` is the carrier's. */
  carries(to: unknown): boolean {
    return to === this.#res && this.#layers.isWaiting;
  }

  /** Writes the message into the response, whose status and headers are already set. */
  attach(message: IncomingMessage): void {
    const res = this.#res;
    this.#message = message;
    res.emit('pipe', message);
    message.on('data', (chunk: Buffer) => {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
      const mayWait = carried > 1 && this.#heldBytes <= maxHeldBytes && this.#layers.isWaiting;
      if (!mayWait) this.#flush();
      else if (this.#held.length === 1) inTurn(this.#flush);
    });
    message.on('end', () => {
      this.#hasEnded = true;
      if (this.#held.length === 0) this.#flush();
    });
    res.on('drain', () => message.resume());
  }

  /** Writes what has arrived. */
  readonly #flush = (): void => {
    const [held, bytes] = [this.#held, this.#heldBytes];
    this.#held = [];
    this.#heldBytes = 0;
    const message = this.#message;
    if (message === null || (held.length === 0 && !this.#hasEnded)) return;
    this.#writeHead();
    for (const chunk of joinedIfSmall(held, bytes)) {
      // If something cannot be written, the guard detaches the message.
      if (this.#message !== null && !this.#layers.top.write([chunk])) message.pause();
    }
    if (!this.#hasEnded || this.#message === null) return;
    this.#message = null;
    this.#layers.top.end([]);
  };

  /** Stops writing the message into the response, as `unpipe` would. */
  detach(message: IncomingMessage): void {
    if (this.#message !== message) return;
    this.#flush();
    this.#message = null;
    this.#res.emit('unpipe', message);
  }

  #writeHead(): void {
    if (this.#hasHead) return;
    this.#hasHead = true;
    this.#layers.top.writeHead([this.#res.statusCode]);
  }
}

/** An upstream may send a byte at a time, and each write costs some microseconds. */
function joinedIfSmall(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  const isJoined = pieces.length > 1 && bytes <= maxJoinedBytes;
  return isJoined ? [Buffer.concat(pieces, bytes)] : pieces;
}

const inNode = IncomingMessage.prototype;

/** All messages share these functions, and so keep one hidden class. */
function pipe<T extends NodeJS.WritableStream>(
  this: Carried,
  to: T,
  options?: { readonly end?: boolean },
): T {
  const carrier = this[carrierOf];
  if (carrier === undefined || !carrier.carries(to))
    return inNode.pipe.call(this, to, options) as T;
  carrier.attach(this);
  return to;
}

function unpipe<T extends IncomingMessage>(this: T & Carried, from?: NodeJS.WritableStream): T {
  this[carrierOf]?.detach(this);
  inNode.unpipe.call(this, from);
  return this;
}
