import type { ClientRequest } from 'node:http';
import { PassThrough, pipeline, Readable } from 'node:stream';
import type { Slabs } from '../../shared/bytes/slabs.ts';
import type { BodyReason } from '../../shared/exchange.ts';
import { isObject, type JsonObject } from '../../shared/json/json.ts';
import type { Later, RequestBody } from '../../shared/request-body.ts';
import { type Bounds, type HeldBody, holdBody, type BodyBuffer } from '../node/body.ts';
import { decodeNow } from '../node/decode.ts';
import type { CallListener } from '../node/request-state.ts';
import { inTurn } from '../node/turn.ts';
import type { GatewayRequest } from './types.ts';

/** Reads the body that will be forwarded. What cannot be held flows on as it is. */
export function readBody(req: GatewayRequest, bounds: Bounds): Later<HeldBody | BodyReason> {
  const { requestStream } = req.egContext;
  const source = requestStream instanceof Readable ? requestStream : req;
  // Read by an earlier policy, and not offered again: there is nothing to know it by.
  if (source.readableEnded) return 'not-json';
  if (source.destroyed) return 'gone';
  return holdBody(req, bounds, (buffer) => collect(req, source, buffer, bounds.whenOver));
}

/** Reads until the end, the declared length (a stream put there by request-transformer never ends) or a bound. */
function collect(
  req: GatewayRequest,
  source: Readable,
  buffer: BodyBuffer,
  whenOver: Bounds['whenOver'],
): Promise<BodyReason | null> {
  return new Promise((done) => new Collector({ req, source, buffer, whenOver, done }).listen());
}

interface Collecting {
  readonly req: GatewayRequest;
  readonly source: Readable;
  readonly buffer: BodyBuffer;
  readonly whenOver: Bounds['whenOver'];
  readonly done: (reason: BodyReason | null) => void;
}

/** Listens to a body on its way in. */
class Collector {
  /** Null when it is there: the listeners stay, and what they hold would live as long as the request. */
  #parts: Collecting | null;

  constructor(parts: Collecting) {
    this.#parts = parts;
  }

  listen(): void {
    if (this.#parts === null) return;
    const { req, source, buffer } = this.#parts;
    const { declared } = buffer;
    if (declared === 0) {
      source.resume();
      this.#finish(null);
      return;
    }
    source.on('data', this.#onData);
    source.on('close', () => this.#finish('gone'));
    // A listener takes as long as a digest: what Node has parsed does not end before its length,
    // and closes with an error that it tells to no one.
    if (source !== req || declared === null) source.on('end', () => this.#finish(null));
    if (source !== req) source.on('error', () => this.#finish('gone'));
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#parts === null) return;
    const { req, source, buffer, whenOver } = this.#parts;
    const reason = buffer.add(chunk);
    if (reason === null) {
      if (buffer.isWhole) this.#finish(null);
      return;
    }
    source.off('data', this.#onData);
    passOn(req, source, { slabs: buffer.slabs, chunk, whenOver });
    this.#finish(reason);
  };

  #finish(reason: BodyReason | null): void {
    if (this.#parts === null) return;
    const { buffer, done } = this.#parts;
    this.#parts = null;
    if (reason === 'gone') buffer.slabs.release();
    inTurn(() => done(reason));
  }
}

/** What was read already, and then the rest. What was read is held until it has gone on. */
function passOn(
  req: GatewayRequest,
  source: Readable,
  read: { readonly slabs: Slabs; readonly chunk: Buffer; readonly whenOver: Bounds['whenOver'] },
): void {
  const { slabs, chunk, whenOver } = read;
  source.pause();
  const rest = new PassThrough();
  const pieces = slabs.chunks;
  const reader = slabs.reader();
  slabs.release();
  // When one has been taken the next is asked for, and the one before is let go of.
  const taken = () => {
    if (reader.next() === null) reader.close();
  };
  taken();
  for (const piece of pieces) rest.write(piece, taken);
  rest.write(chunk);
  rest.once('close', () => reader.close());
  whenOver(() => reader.close());
  // A source that breaks off breaks what follows it.
  pipeline(source, rest, () => {});
  req.egContext.requestStream = rest;
}

/** Bytes that were read before; nothing happens until they are read again. */
class Again extends Readable {
  #chunks: readonly Uint8Array[];

  constructor(chunks: readonly Uint8Array[]) {
    super();
    this.#chunks = chunks;
  }

  override _read(): void {
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const chunk of chunks) if (chunk.length > 0) this.push(chunk);
    this.push(null);
  }
}

/** All that the proxy asks of a body: it is in memory, and goes out at once. */
class Sent {
  readonly #chunks: readonly Uint8Array[];
  readonly #called: CallListener;

  constructor(chunks: readonly Uint8Array[], called: CallListener) {
    this.#chunks = chunks;
    this.#called = called;
  }

  pipe<T extends NodeJS.WritableStream>(to: T): T {
    // The proxy pipes into the call that it makes.
    this.#called(to as unknown as ClientRequest);
    const chunks = this.#chunks;
    for (let at = 0; at + 1 < chunks.length; at++) to.write(chunks[at] ?? '');
    to.end(chunks.at(-1) ?? '');
    return to;
  }
}

type Bytes = Pick<RequestBody, 'chunks' | 'coded'>;

const offered = Symbol('llm-cache offered body');

interface Offering extends GatewayRequest {
  [offered]?: Bytes;
}

/**
 * One for all requests: an accessor belongs to a request's hidden class, which grows old with all
 * that its functions hold.
 */
const parsedBody: PropertyDescriptor & ThisType<Offering> = {
  configurable: true,
  enumerable: true,
  // A later policy may change what it is given: it gets a parse of its own, when it asks.
  get() {
    const body = this[offered];
    const value: unknown = body === undefined ? undefined : parsed(body);
    this.body = value;
    return value;
  },
  set(value: unknown) {
    const plain = { configurable: true, enumerable: true, writable: true, value };
    Object.defineProperty(this, 'body', plain);
  },
};

/** Offers a body that was read to the proxy alone, to which the request comes next; `called` is told of its call. */
export function sendBody(
  { egContext }: GatewayRequest,
  { chunks }: RequestBody,
  called: CallListener,
): void {
  egContext.requestStream = new Sent(chunks, called);
}

/** Offers a body that was read again, to the proxy policy and to later body parsers. */
export function offerBody(req: GatewayRequest, { chunks, coded }: RequestBody): void {
  req.egContext.requestStream = new Again(chunks);
  (req as Offering)[offered] = { chunks, coded };
  Object.defineProperty(req, 'body', parsedBody);
  req._body = true;
}

/** Its JSON object; an empty one where it is none. */
function parsed({ chunks, coded }: Bytes): JsonObject {
  const bytes = Buffer.concat(chunks);
  const plain = coded === null ? bytes : decodeNow(coded.coding, bytes, coded.maxBytes);
  if (plain === null) return {};
  try {
    // A byte order mark is kept, so that it fails as JSON: RFC 8259 forbids it.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const value: unknown = JSON.parse(decoder.decode(plain));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
