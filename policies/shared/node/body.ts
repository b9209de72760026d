import { PassThrough, pipeline, Readable } from 'node:stream';
import type { ByteBudget } from '../budget.ts';
import type { BodyReason } from '../exchange.ts';
import { BodyMemory, RequestBody } from '../request-body.ts';
import { hashBytes } from './digest.ts';
import type { AppRequest, GatewayRequest } from './gateway.ts';

/** Of this process: clients send the same bodies again, to whichever pipeline. */
const memory = new BodyMemory(hashBytes);

/** A body that was read whole. Its bytes are held, and accounted for, until `release`. */
export interface HeldBody {
  readonly body: RequestBody;
  readonly release: () => void;
}

/**
 * Reads the body that will be forwarded and offers it again, to the proxy policy and to later body
 * parsers. What cannot be held flows on as it is.
 */
export async function readBody(
  req: GatewayRequest,
  maxBytes: number,
  budget: ByteBudget,
): Promise<HeldBody | BodyReason> {
  const source = req.egContext.requestStream ?? req;
  // Read by an earlier policy, and offered to nobody: there is nothing to know it by.
  if (source.readableEnded) return 'not-json';
  if (source.destroyed) return 'gone';
  const held = await holdBody(req, { maxBytes, budget }, (declared, judge) =>
    collect(req, source, declared, judge),
  );
  if (typeof held !== 'string') offer(req, held.body);
  return held;
}

export interface Bounds {
  /** The largest body that is held. */
  readonly maxBytes: number;
  readonly budget: ByteBudget;
}

/** Asked with every chunk: why the body cannot be held, if it cannot. */
export type Judge = (size: number, added: number) => BodyReason | null;

/** Holds what `read` brings, within the bounds. */
export async function holdBody(
  req: AppRequest,
  { maxBytes, budget }: Bounds,
  read: (declared: number | null, judge: Judge) => Promise<Collected>,
): Promise<HeldBody | BodyReason> {
  const declared = declaredLength(req);
  if (declared !== null && declared > maxBytes) return 'request-too-large';
  if (!budget.take(declared ?? 0)) return 'buffer-limit';

  const collected = await read(declared, (size, added) => {
    if (size > maxBytes) return 'request-too-large';
    return declared !== null || budget.take(added) ? null : 'buffer-limit';
  });
  const { bytes, accepted } = collected;
  if (collected.reason !== null) {
    budget.give(declared ?? accepted);
    return collected.reason;
  }
  return {
    body: new RequestBody(bytes, memory),
    release: () => budget.give(declared ?? bytes.length),
  };
}

/** In bytes; null where the client did not say. */
function declaredLength(req: AppRequest): number | null {
  const text = req.headers['content-length'];
  return text === undefined ? null : Number(text);
}

export interface Collected {
  /** The whole body; empty where there is a reason. */
  readonly bytes: Buffer;
  /** The bytes that `judge` let in. */
  readonly accepted: number;
  readonly reason: BodyReason | null;
}

/** Reads until the end, the declared length (a stream put there by request-transformer never ends) or a word of `judge`. */
function collect(
  req: GatewayRequest,
  source: Readable,
  declared: number | null,
  judge: Judge,
): Promise<Collected> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let accepted = 0;

    const finish = (reason: BodyReason | null) => {
      source.off('data', onData);
      source.off('end', onEnd);
      source.off('error', onGone);
      source.off('close', onGone);
      if (reason === 'request-too-large' || reason === 'buffer-limit') passOn(req, source, chunks);
      resolve({ bytes: Buffer.concat(reason === null ? chunks : []), accepted, reason });
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      const reason = judge(size, chunk.length);
      if (reason === null) accepted = size;
      if (reason !== null || (declared !== null && size >= declared)) finish(reason);
    };
    const onEnd = () => finish(null);
    const onGone = () => finish('gone');

    if (declared === 0) {
      source.resume();
      finish(null);
      return;
    }
    source.on('data', onData);
    source.once('end', onEnd);
    source.once('error', onGone);
    source.once('close', onGone);
  });
}

/** What was read already, and then the rest. */
function passOn(req: GatewayRequest, source: Readable, chunks: readonly Buffer[]): void {
  source.pause();
  const rest = new PassThrough();
  for (const chunk of chunks) rest.write(chunk);
  // A source that breaks off breaks what follows it.
  pipeline(source, rest, () => {});
  req.egContext.requestStream = rest;
}

/** Bytes that were read before; nothing happens as long as nobody reads them. */
class Again extends Readable {
  readonly #body: RequestBody;

  constructor(body: RequestBody) {
    super();
    this.#body = body;
  }

  /** A later policy may change what it is given: it gets a parse of its own, when it asks. */
  parse(): unknown {
    const { problem, text } = this.#body;
    return problem === null ? JSON.parse(text) : {};
  }

  override _read(): void {
    const { bytes } = this.#body;
    if (bytes.length > 0) this.push(bytes);
    this.push(null);
  }
}

const offered = Symbol('offered');

interface Offering extends GatewayRequest {
  [offered]?: Again;
}

/** `req.body` as a body parser would have left it, made when somebody asks. */
const parsedBody: PropertyDescriptor & ThisType<Offering> = {
  configurable: true,
  enumerable: true,
  get() {
    const value = this[offered]?.parse();
    this.body = value;
    return value;
  },
  set(value: unknown) {
    const plain = { configurable: true, enumerable: true, writable: true, value };
    Object.defineProperty(this, 'body', plain);
  },
};

function offer(req: Offering, body: RequestBody): void {
  const again = new Again(body);
  req.egContext.requestStream = again;
  req[offered] = again;
  Object.defineProperty(req, 'body', parsedBody);
  req._body = true;
}
