const firstBytes = 4096;

/** Buffers the bytes of a stream, and combines small chunks into larger pieces. */
export class StreamBuffer {
  readonly #maxPiece: number;
  #full: Buffer[] = [];
  #last = Buffer.alloc(0);
  #used = 0;
  #length = 0;

  /** `maxPiece` is the most bytes that `take` returns. */
  constructor(maxPiece: number) {
    this.#maxPiece = maxPiece;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies the bytes. */
  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    for (let at = 0; at < bytes.length;) {
      if (this.#used === this.#maxPiece) this.#startPiece();
      const some = bytes.subarray(at, at + this.#maxPiece - this.#used);
      this.#reserve(this.#used + some.length);
      this.#last.set(some, this.#used);
      this.#used += some.length;
      at += some.length;
    }
  }

  /** Removes and returns the oldest piece. */
  take(): Buffer {
    if (this.#full.length === 0) this.#startPiece();
    const bytes = this.#full.shift() ?? Buffer.alloc(0);
    this.#length -= bytes.length;
    return bytes;
  }

  clear(): void {
    this.#full = [];
    this.#last = Buffer.alloc(0);
    this.#used = 0;
    this.#length = 0;
  }

  #startPiece(): void {
    this.#full.push(this.#last.subarray(0, this.#used));
    this.#last = Buffer.alloc(0);
    this.#used = 0;
  }

  /** Grows the buffer as it fills, so that a slow stream takes little memory. */
  #reserve(size: number): void {
    if (size <= this.#last.length) return;
    const wanted = Math.max(size, firstBytes, this.#last.length * 2);
    const grown = Buffer.alloc(Math.min(wanted, this.#maxPiece));
    grown.set(this.#last.subarray(0, this.#used));
    this.#last = grown;
  }
}
