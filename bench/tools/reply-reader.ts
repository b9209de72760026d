const headEnd = '\r\n\r\n';
const contentLength = /\r\ncontent-length: *(\d+)/i;
const chunkedCoding = /\r\ntransfer-encoding: *chunked/i;

/** Reads consecutive HTTP responses from a connection, with as little processor time as possible. */
export class ReplyReader {
  head = '';
  readonly #onData: (bytes: Buffer) => void;
  readonly #onEnd: () => void;
  #inBody = false;
  #isChunked = false;
  #left = 0;
  #rest: Buffer | null = null;

  constructor(onData: (bytes: Buffer) => void, onEnd: () => void) {
    this.#onData = onData;
    this.#onEnd = onEnd;
  }

  push(more: Buffer): void {
    let bytes = this.#rest === null ? more : Buffer.concat([this.#rest, more]);
    this.#rest = null;
    if (!this.#inBody) {
      const at = bytes.indexOf(headEnd);
      if (at < 0) {
        this.#rest = bytes;
        return;
      }
      this.head = bytes.toString('latin1', 0, at);
      bytes = bytes.subarray(at + headEnd.length);
      this.#inBody = true;
      this.#isChunked = chunkedCoding.test(this.head);
      this.#left = Number(contentLength.exec(this.head)?.[1] ?? 0);
    }
    if (this.#isChunked) return this.#chunks(bytes);
    this.#left -= bytes.length;
    if (bytes.length > 0) this.#onData(bytes);
    if (this.#left <= 0) this.#finish();
  }

  #chunks(bytes: Buffer): void {
    let at = 0;
    for (;;) {
      const line = bytes.indexOf('\r\n', at);
      if (line < 0) break;
      const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
      const begin = line + 2;
      if (begin + size + 2 > bytes.length) break;
      if (size === 0) return this.#finish();
      this.#onData(bytes.subarray(begin, begin + size));
      at = begin + size + 2;
    }
    this.#rest = bytes.subarray(at);
  }

  #finish(): void {
    this.#inBody = false;
    this.#onEnd();
  }
}
