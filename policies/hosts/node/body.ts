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

/** Of this process: clients send the same bodies again, to whichever pipeline. */
export const nodeReading: BodyReading = {
  hashing: nodeHashing,
  naming: nodeNaming,
  isUtf8,
  memory: new BodyMemory(),
  decode: undoing(decoding),
};

/** A body that was read whole. Its bytes are held, and accounted for, until `release`. */
export interface HeldBody {
  readonly body: RequestBody;
  readonly release: () => void;
}

export interface Bounds {
  /** The largest body that is held. */
  readonly maxBytes: number;
  readonly account: ClientAccount;
  /** Calls `then` once, when the body will not be read any more. */
  readonly whenOver: (then: () => void) => void;
}

/** A body that is being read. */
export class Holding {
  /** In bytes; null where the client did not say. */
  readonly declared: number | null;
  readonly slabs: Slabs;
  readonly #maxBytes: number;

  constructor(declared: number | null, { maxBytes, account }: Bounds) {
    this.declared = declared;
    this.slabs = new Slabs(account, declared);
    this.#maxBytes = maxBytes;
  }

  /** Holds `chunk` too, or says why it cannot be held. */
  add(chunk: Uint8Array): 'request-too-large' | 'buffer-limit' | null {
    if (this.slabs.size + chunk.length > this.#maxBytes) return 'request-too-large';
    return this.slabs.add(chunk) ? null : 'buffer-limit';
  }

  /** Whether all of it is there that the client declared. */
  get isWhole(): boolean {
    return this.declared !== null && this.slabs.size >= this.declared;
  }
}

/** Holds what `read` brings, within the bounds; it says why where that is not the whole body. */
export function holdBody(
  req: IncomingMessage,
  bounds: Bounds,
  read: (holding: Holding) => Promise<BodyReason | null>,
): Later<HeldBody | BodyReason> {
  const { maxBytes, account } = bounds;
  const declared = declaredLength(req);
  if (declared !== null && declared > maxBytes) return 'request-too-large';
  if (declared !== null && !account.hasRoom(declared)) return 'buffer-limit';
  const holding = new Holding(declared, bounds);
  return read(holding).then((reason) => reason ?? held(req, holding, bounds));
}

function held(req: IncomingMessage, { slabs }: Holding, { maxBytes, account }: Bounds): HeldBody {
  const coding = req.headers['content-encoding'] ?? '';
  const isCoded = contentCodings(coding).length > 0 && slabs.size > 0;
  const coded = isCoded ? { coding, maxBytes, account } : null;
  const body = new RequestBody(slabs.chunks, nodeReading, coded);
  return { body, release: () => slabs.releaseBehind(body.idle) };
}

/** In bytes; null where the client did not say. */
function declaredLength(req: IncomingMessage): number | null {
  const text = req.headers['content-length'];
  return text === undefined ? null : Number(text);
}
