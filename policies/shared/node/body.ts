import { PassThrough, pipeline, Readable } from 'node:stream';
import type { ByteBudget } from '../budget.ts';
import type { BodyReason } from '../exchange.ts';
import { BodyMemory, RequestBody } from '../request-body.ts';
import { hashBytes } from './digest.ts';
import type { GatewayRequest } from './gateway.ts';

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
  const declared = declaredLength(req);
  const source = req.egContext.requestStream ?? req;
  // Read by an earlier policy, and offered to nobody: there is nothing to know it by.
  if (source.readableEnded) return 'not-json';
  if (source.destroyed) return 'gone';
  if (declared !== null && declared > maxBytes) return 'request-too-large';
  if (!budget.take(declared ?? 0)) return 'buffer-limit';

  const collected = await collect(req, source, declared, (size, added) => {
    if (size > maxBytes) return 'request-too-large';
    return declared !== null || budget.take(added) ? null : 'buffer-limit';
  });
  const release = () => budget.give(declared ?? collected.size);
  if (collected.reason !== null) {
    budget.give(declared ?? collected.accepted);
    return collected.reason;
  }
  const [first] = collected.chunks;
  const isOne = first !== undefined && collected.chunks.length === 1;
  const body = new RequestBody(isOne ? first : Buffer.concat(collected.chunks), memory);
  offer(req, body);
  return { body, release };
}

/** In bytes; null where the client did not say. */
function declaredLength(req: GatewayRequest): number | null {
  const text = req.headers['content-length'];
  return text === undefined ? null : Number(text);
}

interface Collected {
  readonly chunks: readonly Buffer[];
  readonly size: number;
  /** The bytes that `judge` let in. */
  readonly accepted: number;
  readonly reason: BodyReason | null;
}

/** Reads until the end, the declared length (a stream put there by request-transformer never ends) or a word of `judge`. */
function collect(
  req: GatewayRequest,
  source: Readable,
  declared: number | null,
  judge: (size: number, added: number) => BodyReason | null,
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
      resolve({ chunks, size, accepted, reason });
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

function offer(req: GatewayRequest, body: RequestBody): void {
  const again = new Readable({ read() {} });
  if (body.bytes.length > 0) again.push(body.bytes);
  again.push(null);
  req.egContext.requestStream = again;

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
      Object.defineProperty(req, 'body', {
        configurable: true,
        enumerable: true,
        writable: true,
        value,
      });
    },
  });
  req._body = true;
}
