/** Shorter ones are read byte by byte. */
const minWordBytes = 64;

/** Which bytes are plain: ASCII without controls, quotes and backslashes. */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c),
);
/** The same, and all bytes of other characters. */
const isPlainUtf8 = isPlain.map((plain, byte) => (byte < 0x80 ? plain : 1));

/** The highest of each byte of a word. */
const highBits = 0x80808080 | 0;

/** Finds where what stands for itself in a JSON string ends, four bytes at a time. */
export class PlainText {
  readonly #bytes: Uint8Array;
  /** The same memory; how far its beginning is behind theirs. */
  readonly #words: Int32Array | null;
  readonly #offset: number;
  readonly #isPlain: Uint8Array;
  /** The highest bit of each byte of a word, where that makes it one that is not plain. */
  readonly #oddBits: number;

  /** In bytes that are known to be UTF-8 all other characters are plain, too. */
  constructor(bytes: Uint8Array, isUtf8: boolean) {
    this.#bytes = bytes;
    this.#isPlain = isUtf8 ? isPlainUtf8 : isPlain;
    this.#oddBits = isUtf8 ? 0 : highBits;
    this.#offset = -bytes.byteOffset & 3;
    const count = (bytes.length - this.#offset) >> 2;
    const isLong = bytes.length >= minWordBytes;
    this.#words = isLong
      ? new Int32Array(bytes.buffer, bytes.byteOffset + this.#offset, count)
      : null;
  }

  /** Where it ends that begins at `from`, or `end`. */
  end(from: number, end: number): number {
    const bytes = this.#bytes;
    const plain = this.#isPlain;
    const words = this.#words;
    let at = from;
    if (words !== null && end - from >= minWordBytes) {
      const offset = this.#offset;
      while (((at - offset) & 3) !== 0) {
        if (plain[bytes[at] as number] === 0) return at;
        at++;
      }
      const last = ((end - offset) >> 2) - 1;
      let word = (at - offset) >> 2;
      const oddBits = this.#oddBits;
      while (word < last) {
        // Two at a time: there is less to branch on.
        const one = words[word] as number;
        const other = words[word + 1] as number;
        if (((oddIn(one, oddBits) | oddIn(other, oddBits)) & highBits) !== 0) break;
        word += 2;
      }
      at = (word << 2) + offset;
    }
    while (at < end && plain[bytes[at] as number] === 1) at++;
    return at;
  }
}

/**
 * Has the highest bit of a byte set where one of four is below 0x20, a quote or a backslash. A
 * subtraction sets it where the byte was less; it was set before in a byte that is not ASCII.
 */
function oddIn(word: number, oddBits: number): number {
  const less =
    (word - 0x20202020) | ((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101);
  return (less & ~word) | (word & oddBits);
}
