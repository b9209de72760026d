/** No answer is larger than this, so this many decoded bytes are always allowed. */
const alwaysAllowedBytes = 16 * 1024 * 1024;

/** A long stream of small events, all of one shape, compresses less than this. */
const maxRatio = 100;

/** Tells a decompression bomb from a body that merely compresses well. */
export class Expansion {
  #packed = 0;
  #unpacked = 0;

  /** Counts bytes that came in encoded. */
  packed(bytes: number): void {
    this.#packed += bytes;
  }

  /** Counts bytes that one of the decoders produced. Returns false once all of them produced too much. */
  allows(bytes: number): boolean {
    this.#unpacked += bytes;
    return this.#unpacked <= Math.max(alwaysAllowedBytes, maxRatio * this.#packed);
  }
}
