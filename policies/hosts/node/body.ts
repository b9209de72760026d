import { isUtf8 } from 'node:buffer';
import type { ClientAccount } from '../../shared/bytes/budget.ts';
import type { BodyReason } from '../../shared/exchange.ts';
import { contentCodings } from '../../shared/format.ts';
import {
  BodyMemory,
  type BodyReading,
  type Later,
  RequestBody,
} from '../../shared/request-body.ts';
import { Slabs } from '../../shared/bytes/slabs.ts';
import { undoing } from '../../shared/bytes/undo-codings.ts';
import { decoding } from './decode.ts';
import { nodeHashing, nodeNaming } from './digest.ts';
import type { IncomingMessage } from 'node:http';

/** All pipelines share it, because clients send the same bodies again to any of them. */
export const nodeReading: BodyReading = {
  hashing: nodeHashing,
  naming: nodeNaming,
  isUtf8,
  memory: new BodyMemory(),
  decode: undoing(decoding),
};

/** A whole body in memory. Its bytes are charged to an account until `release`. */
export interface HeldBody {
  readonly body: RequestBody;
  readonly release: () => void;
}

/** Limits for reading a body. */
export interface Bounds {
  /** The largest body that is buffered, in bytes. */
  readonly maxBytes: number;
  readonly account: ClientAccount;
  /** Calls `then` once, when the request is over and its body will not be read any more. */
  readonly whenOver: (then: () => void) => void;
}

/** Collects a body while it is read. */
export class BodyBuffer {
  /** The declared length in bytes; null if the client declared none. */
  readonly declared: number | null;
  readonly slabs: Slabs;
  readonly #maxBytes: number;

  constructor(declared: number | null, { maxBytes, account }: Bounds) {
    this.declared = declared;
    this.slabs = new Slabs(account, declared);
    this.#maxBytes = maxBytes;
  }

  /** Adds `chunk` and returns null, or returns why the chunk does not fit. */
  add(chunk: Uint8Array): 'request-too-large' | 'buffer-limit' | null {
    if (this.slabs.size + chunk.length > this.#maxBytes) return 'request-too-large';
    return this.slabs.add(chunk) ? null : 'buffer-limit';
  }

  /** Whether the whole declared length has arrived. */
  get isWhole(): boolean {
    return this.declared !== null && this.slabs.size >= this.declared;
  }
}

/** Buffers what `read` adds, within the bounds. `read` resolves to the reason if that is not all. */
export function holdBody(
  req: IncomingMessage,
  bounds: Bounds,
  read: (buffer: BodyBuffer) => Promise<BodyReason | null>,
): Later<HeldBody | BodyReason> {
  const { maxBytes, account } = bounds;
  const declared = declaredLength(req);
  if (declared !== null && declared > maxBytes) return 'request-too-large';
  if (declared !== null && !account.hasRoom(declared)) return 'buffer-limit';
  const buffer = new BodyBuffer(declared, bounds);
  return read(buffer).then((reason) => reason ?? held(req, buffer, bounds));
}

function held(
  req: IncomingMessage,
  { slabs }: BodyBuffer,
  { maxBytes, account }: Bounds,
): HeldBody {
  const coding = req.headers['content-encoding'] ?? '';
  const isCoded = contentCodings(coding).length > 0 && slabs.size > 0;
  const coded = isCoded ? { coding, maxBytes, account } : null;
  const body = new RequestBody(slabs.chunks, nodeReading, coded);
  return { body, release: () => slabs.releaseBehind(body.idle) };
}

/** In bytes; null if the client declared none. */
function declaredLength(req: IncomingMessage): number | null {
  const text = req.headers['content-length'];
  return text === undefined ? null : Number(text);
}
