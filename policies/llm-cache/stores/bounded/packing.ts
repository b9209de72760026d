// Numbers are a number of seven bits a byte, the lowest first, so that small ones take little.
const [nothing, asDouble, first] = [0, 1, 2];
const largest = 2 ** 48;
/** Text that UTF-8 cannot hold, a half of a pair alone, is written as JSON. */
const [noText, asJson, firstLength] = [0, 1, 2];

const halfPair = /\p{Surrogate}/u;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** 8 characters of base64url are 6 bytes. */
const digestPattern = /^[A-Za-z0-9_-]{8}$/;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** By the code of a character. */
const values = new Uint8Array(128);
for (let value = 0; value < alphabet.length; value++) values[alphabet.charCodeAt(value)] = value;
const digestBytes = 6;

export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** Room that is used again and again: what is written is copied out of it. */
let room = new Uint8Array(4096);

/** Writes numbers and texts, one after the other. One at a time: they share one room. */
export class Writer {
  #length = 0;

  number(value: number | null): void {
    this.#reserve(9);
    if (value === null) room[this.#length++] = nothing;
    else if (Number.isInteger(value) && value >= 0 && value < largest) this.#count(value + first);
    else {
      room[this.#length++] = asDouble;
      new DataView(room.buffer).setFloat64(this.#length, value);
      this.#length += 8;
    }
  }

  text(value: string | null): void {
    this.#reserve(18 + 3 * (value?.length ?? 0));
    if (value === null) return this.#count(noText);
    if (halfPair.test(value)) {
      this.#count(asJson);
      return this.text(JSON.stringify(value));
    }
    // Most are letters of one byte, whose length is known beforehand.
    const bytes = encoder.encode(value);
    this.#count(bytes.length + firstLength);
    room.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What `isDigest`. */
  digest(value: string): void {
    this.#reserve(digestBytes);
    for (let at = 0; at < 8; at += 4) {
      let bits = 0;
      for (let next = at; next < at + 4; next++)
        bits = bits * 64 + (values[value.charCodeAt(next)] ?? 0);
      room[this.#length++] = bits >> 16;
      room[this.#length++] = bits >> 8;
      room[this.#length++] = bits;
    }
  }

  /** All that was written, and `body` behind it, in memory of their own. */
  end(body: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length + body.length);
    bytes.set(room.subarray(0, this.#length));
    bytes.set(body, this.#length);
    return bytes;
  }

  #count(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      room[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    room[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= room.length) return;
    const larger = new Uint8Array(2 * (this.#length + bytes));
    larger.set(room);
    room = larger;
  }
}

/** Reads what a Writer has written, in the same order. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number | null {
    const value = this.#count();
    if (value === nothing) return null;
    if (value !== asDouble) return value - first;
    const { buffer, byteOffset } = this.#bytes;
    this.#at += 8;
    return new DataView(buffer, byteOffset).getFloat64(this.#at - 8);
  }

  text(): string | null {
    const length = this.#count();
    if (length === noText) return null;
    if (length === asJson) return JSON.parse(this.text() ?? '""') as string;
    this.#at += length - firstLength;
    return decoder.decode(this.#bytes.subarray(this.#at - length + firstLength, this.#at));
  }

  digest(): string {
    let value = '';
    for (let group = 0; group < 2; group++) {
      const bits = (this.#byte() << 16) | (this.#byte() << 8) | this.#byte();
      for (const shift of [18, 12, 6, 0]) value += alphabet[(bits >> shift) & 63] ?? '';
    }
    return value;
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  #count(): number {
    let [value, weight] = [0, 1];
    for (;;) {
      const byte = this.#byte();
      value += (byte & 0x7f) * weight;
      if (byte < 0x80) return value;
      weight *= 0x80;
    }
  }

  #byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }
}
