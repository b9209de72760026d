import { isKept } from '../../shared/answer-headers.ts';
import { isObject } from '../../shared/json/json.ts';
import type { CallOutcome } from './relay.ts';
import { type Place, proofBytes, type Seal } from './seal.ts';

/** What a call publishes, in order: a stream's head, its bytes, and how the call ended. */
export type Frame =
  | { readonly kind: 'head'; readonly head: StreamHead }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly outcome: CallOutcome };

export interface StreamHead {
  readonly headers: Readonly<Record<string, string>>;
  /** When the call was made, by the clock of the calling gateway, in milliseconds since the epoch. */
  readonly startedAt: number;
}

/** The most bytes of a stream in one frame. */
export const maxFrameBytes = 64 * 1024;
/** The most bytes of a sealed frame. */
export const maxSealedBytes = maxFrameBytes + proofBytes;

/** Seals the frames of one call, each for its kind and number. A moved, repeated or relabelled frame does not open. */
export class FrameSeal {
  readonly #seal: Seal;
  readonly #call: Place;

  /** `call` must be unique to this call. */
  constructor(seal: Seal, call: Place) {
    this.#seal = seal;
    this.#call = call;
  }

  /** Seals a frame. `number` is 1 for the first. */
  close(number: number, frame: Frame): Buffer {
    const { proof, bytes } = this.#seal.seal(this.#placeOf(number, frame.kind), bytesOf(frame));
    return Buffer.concat([proof, bytes]);
  }

  /** Returns the frame, or undefined if the calling gateway did not publish it with this number and kind. */
  open(number: number, kind: string, sealed: Buffer): Frame | undefined {
    const bytes = this.#seal.open(this.#placeOf(number, kind), {
      proof: sealed.subarray(0, proofBytes),
      bytes: sealed.subarray(proofBytes),
    });
    return bytes && frameOf(kind, bytes);
  }

  #placeOf(number: number, kind: string): Place {
    return ['frame', ...this.#call, number, kind];
  }
}

function bytesOf(frame: Frame): Uint8Array {
  if (frame.kind === 'bytes') return frame.bytes;
  return Buffer.from(JSON.stringify(frame.kind === 'head' ? frame.head : frame.outcome));
}

function frameOf(kind: string, bytes: Uint8Array): Frame | undefined {
  if (kind === 'bytes') return { kind, bytes: new Uint8Array(bytes) };
  const value = parsed(bytes);
  if (kind === 'head') {
    const head = headOf(value);
    return head && { kind, head };
  }
  const outcome = kind === 'end' ? outcomeOf(value) : undefined;
  return outcome && { kind: 'end', outcome };
}

function headOf(value: unknown): StreamHead | undefined {
  if (!isObject(value)) return undefined;
  const { headers, startedAt } = value;
  if (!isObject(headers) || !isKept(headers) || typeof startedAt !== 'number') return undefined;
  return { headers, startedAt };
}

function outcomeOf(value: unknown): CallOutcome | undefined {
  if (!isObject(value)) return undefined;
  const { kind, storedAt } = value;
  if (kind === 'whole' || kind === 'failed') return { kind };
  return kind === 'stored' && typeof storedAt === 'number' ? { kind, storedAt } : undefined;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
