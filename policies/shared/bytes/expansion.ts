/** More than any answer is. */
const alwaysBytes = 16 * 1024 * 1024;

/** Times that a long stream of small events, all of one shape, does not reach. */
const maxRatio = 100;

/** Tells a body that unpacks without end from one that is merely well compressed. */
export class Expansion {
  #packed = 0;
  #unpacked = 0;

  /** So many bytes came in. */
  packed(bytes: number): void {
    this.#packed += bytes;
  }

  /** One of its decoders gave so many; false once they have given too much, all together. */
  allows(bytes: number): boolean {
    this.#unpacked += bytes;
    return this.#unpacked <= Math.max(alwaysBytes, maxRatio * this.#packed);
  }
}
