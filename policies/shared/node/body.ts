import { PassThrough, pipeline, Readable } from 'node:stream';
import type { ByteBudget } from '../budget.ts';
import type { BodyReason } from '../exchange.ts';
import { BodyMemory, RequestBody } from '../request-body.ts';
import { hashBytes } from './digest.ts';
import type { AppRequest, GatewayRequest } from './gateway.ts';
import { inTurn } from './turn.ts';

/** Of this process: clients send the same bodies again, to whichever pipeline. */
const memory = new BodyMemory(hashBytes);

/** A body that was read whole. Its bytes are held, and accounted for, until `release`. */
export interface HeldBody {
  readonly body: RequestBody;
  readonly release: () => void;
}

/** Reads the body that will be forwarded. What cannot be held flows on as it is. */
export async function readBody(
  req: GatewayRequest,
  maxBytes: number,
  budget: ByteBudget,
): Promise<HeldBody | BodyReason> {
  const source = req.egContext.requestStream ?? req;
  // Read by an earlier policy, and offered to nobody: there is nothing to know it by.
  if (source.readableEnded) return 'not-json';
  if (source.destroyed) return 'gone';
  return holdBody(req, { maxBytes, budget }, (declared, judge) =>
    collect(req, source, declared, judge),
  );
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
  const { chunks, accepted } = collected;
  if (collected.reason !== null) {
    budget.give(declared ?? accepted);
    return collected.reason;
  }
  const body = new RequestBody(chunks, memory);
  return { body, release: () => budget.give(declared ?? body.length) };
}

/** In bytes; null where the client did not say. */
function declaredLength(req: AppRequest): number | null {
  const text = req.headers['content-length'];
  return text === undefined ? null : Number(text);
}

export interface Collected {
  /** The whole body; of no use where there is a reason. */
  readonly chunks: readonly Uint8Array[];
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
      inTurn(() => resolve({ chunks, accepted, reason }));
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
  readonly #chunks: readonly Uint8Array[];

  constructor(chunks: readonly Uint8Array[]) {
    super();
    this.#chunks = chunks;
  }

  override _read(): void {
    for (const chunk of this.#chunks) if (chunk.length > 0) this.push(chunk);
    this.push(null);
  }
}

/** Offers a body that was read again, to the proxy policy and to later body parsers. */
export function offerBody(req: GatewayRequest, body: RequestBody): void {
  req.egContext.requestStream = new Again(body.chunks);

  // A later policy may change what it is given: it gets a parse of its own, when it asks.
  Object.defineProperty(req, 'body', {
    configurable: true,
    enumerable: true,
    get() {
      const value: unknown = body.problem === null ? JSON.parse(body.text) : {};
      this.body = value;
      return value;
    },
    set(value: unknown) {
      const plain = { configurable: true, enumerable: true, writable: true, value };
      Object.defineProperty(req, 'body', plain);
    },
  });
  req._body = true;
}
