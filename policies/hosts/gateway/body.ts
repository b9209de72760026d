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

/** Buffers the body that will be forwarded. A body that cannot be buffered passes through unchanged. */
export function readBody(req: GatewayRequest, bounds: Bounds): Later<HeldBody | BodyReason> {
  const { requestStream } = req.egContext;
  const source = requestStream instanceof Readable ? requestStream : req;
  // An earlier policy has read the body and offers no replacement, so no key can be made.
  if (source.readableEnded) return 'not-json';
  if (source.destroyed) return 'gone';
  return holdBody(req, bounds, (buffer) => collect(req, source, buffer, bounds.whenOver));
}

/** Reads to the end, the declared length (the stream of request-transformer never ends) or a bound. */
function collect(
  req: GatewayRequest,
  source: Readable,
  buffer: BodyBuffer,
  whenOver: Bounds['whenOver'],
): Promise<BodyReason | null> {
  return new Promise((done) => {
    const collector = new Collector({ req, source, buffer, whenOver, done });
    const isUntouched = source === req && req.readableFlowing === null;
    if (isUntouched && buffer.declared !== 0) collector.readAtTurnsEnd();
    else collector.listen();
  });
}

interface CollectorParts {
  readonly req: GatewayRequest;
  readonly source: Readable;
  readonly buffer: BodyBuffer;
  readonly whenOver: Bounds['whenOver'];
  readonly done: (reason: BodyReason | null) => void;
}

/** Collects a body as it arrives. */
class Collector {
  /** Null when the body is complete. The listeners stay, but must not keep the parts alive. */
  #parts: CollectorParts | null;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /**
   * Most bodies have arrived whole by the end of the turn. Reading one then costs less than a single
   * listener, which costs as much as a digest.
   */
  readAtTurnsEnd(): void {
    // The body must not flow past if a policy listens for it after passing the request on.
    this.#parts?.req.pause();
    inTurn(() => this.#readOrListen());
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
    // Add only the listeners that are needed: Node's own request does not end before its declared
    // length, and closes after an error that it emits only to a listener.
    if (source !== req || declared === null) source.on('end', () => this.#finish(null));
    if (source !== req) source.on('error', () => this.#finish('gone'));
  }

  #readOrListen(): void {
    if (this.#parts === null) return;
    const { req, done } = this.#parts;
    if (req.destroyed) return this.#finish('gone');
    if (!req.complete) {
      this.listen();
      req.resume();
      return;
    }
    const body = req.read() as Buffer | null;
    const reason = body === null ? null : this.#add(body);
    this.#parts = null;
    done(reason);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#parts === null) return;
    const reason = this.#add(chunk);
    if (reason !== null || this.#parts.buffer.isWhole) this.#finish(reason);
  };

  /** Returns null, or why the chunk does not fit; then the body passes through. */
  #add(chunk: Buffer): BodyReason | null {
    if (this.#parts === null) return null;
    const { req, source, buffer, whenOver } = this.#parts;
    const reason = buffer.add(chunk);
    if (reason === null) return null;
    source.off('data', this.#onData);
    passThrough(req, source, { slabs: buffer.slabs, chunk, whenOver });
    return reason;
  }

  #finish(reason: BodyReason | null): void {
    if (this.#parts === null) return;
    const { buffer, done } = this.#parts;
    this.#parts = null;
    if (reason === 'gone') buffer.slabs.release();
    inTurn(() => done(reason));
  }
}

/** Forwards what was read, and then the rest. What was read is held until it has been forwarded. */
function passThrough(
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
  // Taking the next piece releases the one before.
  const taken = () => {
    if (reader.next() === null) reader.close();
  };
  taken();
  for (const piece of pieces) rest.write(piece, taken);
  rest.write(chunk);
  rest.once('close', () => reader.close());
  whenOver(() => reader.close());
  // If the source breaks off, so does what follows it.
  pipeline(source, rest, () => {});
  req.egContext.requestStream = rest;
}

/** A stream of bytes that were read before. It does nothing until it is read. */
class ReplayedBody extends Readable {
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

/** A body in memory with the one function that the proxy calls. The body is written at once. */
class BufferedBody {
  readonly #chunks: readonly Uint8Array[];
  readonly #onCall: CallListener;

  constructor(chunks: readonly Uint8Array[], called: CallListener) {
    this.#chunks = chunks;
    this.#onCall = called;
  }

  pipe<T extends NodeJS.WritableStream>(to: T): T {
    // The proxy pipes into the call that it makes.
    this.#onCall(to as unknown as ClientRequest);
    const chunks = this.#chunks;
    for (let at = 0; at + 1 < chunks.length; at++) to.write(chunks[at] ?? '');
    to.end(chunks.at(-1) ?? '');
    return to;
  }
}

type Bytes = Pick<RequestBody, 'chunks' | 'coded'>;

const offered = Symbol('llm-cache offered body');

interface OfferingRequest extends GatewayRequest {
  [offered]?: Bytes;
}

/**
 * All requests share this accessor: the hidden class of a request, which may live long, keeps an
 * accessor's functions alive, with everything that they refer to.
 */
const parsedBody: PropertyDescriptor & ThisType<OfferingRequest> = {
  configurable: true,
  enumerable: true,
  // Each request gets its own parse, on first access: a later policy may change the object.
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

/** Offers a buffered body to the proxy, the next policy. `called` receives the proxy's call. */
export function sendBody(
  { egContext }: GatewayRequest,
  { chunks }: RequestBody,
  called: CallListener,
): void {
  egContext.requestStream = new BufferedBody(chunks, called);
}

/** Offers a buffered body to the proxy policy and to later body parsers. */
export function offerBody(req: GatewayRequest, { chunks, coded }: RequestBody): void {
  req.egContext.requestStream = new ReplayedBody(chunks);
  (req as OfferingRequest)[offered] = { chunks, coded };
  Object.defineProperty(req, 'body', parsedBody);
  req._body = true;
}

/** The body's JSON object; an empty one if the body is not a JSON object. */
function parsed({ chunks, coded }: Bytes): JsonObject {
  const bytes = Buffer.concat(chunks);
  const plain = coded === null ? bytes : decodeNow(coded.coding, bytes, coded.maxBytes);
  if (plain === null) return {};
  try {
    // `ignoreBOM` keeps a byte order mark, so that JSON.parse fails: RFC 8259 forbids it.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const value: unknown = JSON.parse(decoder.decode(plain));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
