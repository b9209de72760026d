import type { ByteAccount } from './budget.ts';
import type { BodySink } from './body-sink.ts';
import { contentCodings, maxCodings } from '../format.ts';
import type { RefusalReason } from '../reasons.ts';
import { Slabs } from './slabs.ts';
import { nextTurn } from '../turns.ts';

/**
 * Decodes the content codings of a body into at most `maxBytes`, which are charged to `account` until
 * they are released. Resolves to the reason if that fails.
 */
export type Decode = (
  body: CodedBytes,
  maxBytes: number,
  account: ByteAccount,
) => Promise<Slabs | 'encoding' | 'request-too-large' | 'buffer-limit'>;

export interface CodedBytes {
  readonly chunks: readonly Uint8Array[];
  /** The value of `Content-Encoding`. */
  readonly coding: string;
}

/** The platform's streaming decoder: returns a sink that decodes into `sink`. */
type Decoding = (contentEncoding: string, sink: BodySink) => BodySink;

/** Makes a decoder of whole request bodies from a streaming decoder. */
export function undoing(decoding: Decoding): Decode {
  return ({ chunks, coding }, maxBytes, account) => {
    if (contentCodings(coding).length > maxCodings) return Promise.resolve('encoding');
    return new Promise((resolve) => {
      const decoded = new Decoded(maxBytes, account, resolve);
      const decoder = decoding(coding, decoded);
      decoded.stop = () => decoder.abort('too-large');
      void feed(chunks, decoder, decoded);
    });
  };
}

/** The most bytes of a large piece that are decoded in one turn of the event loop. */
const maxFedBytes = 256 * 1024;

async function feed(
  chunks: readonly Uint8Array[],
  decoder: BodySink,
  decoded: Decoded,
): Promise<void> {
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += maxFedBytes) {
      if (decoded.isOver) return;
      decoder.chunk(chunk.subarray(at, at + maxFedBytes));
      if (chunk.length > maxFedBytes || chunks.length > 1) await nextTurn();
    }
  }
  decoder.end();
}

type Result = Awaited<ReturnType<Decode>>;

class Decoded implements BodySink {
  isOver = false;
  stop: () => void = () => {};
  readonly #maxBytes: number;
  readonly #slabs: Slabs;
  readonly #resolve: (result: Result) => void;

  constructor(maxBytes: number, account: ByteAccount, resolve: (result: Result) => void) {
    this.#maxBytes = maxBytes;
    this.#slabs = new Slabs(account);
    this.#resolve = resolve;
  }

  get isDone(): boolean {
    return this.isOver;
  }

  chunk(bytes: Uint8Array): void {
    if (this.isOver) return;
    if (this.#slabs.size + bytes.length > this.#maxBytes) this.#fail('request-too-large');
    else if (!this.#slabs.add(bytes)) this.#fail('buffer-limit');
  }

  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#resolve(this.#slabs);
  }

  abort(reason: RefusalReason): void {
    this.#fail(reason === 'buffer-limit' ? reason : 'encoding');
  }

  #fail(reason: Extract<Result, string>): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#slabs.release();
    this.#resolve(reason);
    this.stop();
  }
}
