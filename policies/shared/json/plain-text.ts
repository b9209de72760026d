/** Shorter texts are scanned byte by byte. */
const minWordBytes = 64;

/** Which bytes are plain: ASCII without controls, quotes and backslashes. */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(byte >= 0x20 && byte < 0x80 && byte !== 0x22 && byte !== 0x5c),
);
/** The same, plus all bytes of non-ASCII characters. */
const isPlainUtf8 = isPlain.map((plain, byte) => (byte < 0x80 ? plain : 1));

/** The highest bit of each byte of a word. */
const highBits = 0x80808080 | 0;

/** Finds the end of plain text in a JSON string, eight bytes at a time. */
export class PlainText {
  readonly #bytes: Uint8Array;
  /** The same memory as words; null if it is short. */
  readonly #words: Int32Array | null;
  /** The offset of the first word in the bytes, for alignment. */
  readonly #offset: number;
  readonly #isPlain: Uint8Array;
  /** The highest bits of a word if non-ASCII bytes are not plain; else 0. */
  readonly #oddBits: number;

  /** If the bytes are known to be UTF-8, non-ASCII characters are plain, too. */
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

  /** Returns where the plain text from `from` ends, at most `end`. */
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
        // Two words at a time halve the branches.
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
 * Returns a word with some highest bit set if any of its four bytes is below 0x20, a quote or a
 * backslash. A subtraction sets the bit of a byte that was too small. `~word` masks the bytes that
 * had it before, which are not ASCII; `oddBits` adds those back.
 */
function oddIn(word: number, oddBits: number): number {
  const less =
    (word - 0x20202020) | ((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101);
  return (less & ~word) | (word & oddBits);
}
