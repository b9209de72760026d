/** Shorter ones are read byte by byte. */
const minWordBytes = 64;

/** Bytes that are not plain: controls, quotes and backslashes, and what is not ASCII. */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c),
);
/** The highest of each byte of a word. */
const highBits = 0x80808080 | 0;
const isPlainUtf8 = isPlain.map((plain, byte) => (byte < 0x80 ? plain : 1));

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
      const last = (end - offset) >> 2;
      let word = (at - offset) >> 2;
      while (word < last && isPlainWord(words[word] as number, this.#oddBits)) word++;
      at = (word << 2) + offset;
    }
    while (at < end && plain[bytes[at] as number] === 1) at++;
    return at;
  }
}

/**
 * Whether none of four bytes is below 0x20, a quote or a backslash. The highest bit of a byte is set
 * by a subtraction where the byte was less, and was set before in one that is not ASCII.
 */
function isPlainWord(word: number, oddBits: number): boolean {
  const odd =
    (word - 0x20202020) | ((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101);
  return (((odd & ~word) | (word & oddBits)) & highBits) === 0;
}
