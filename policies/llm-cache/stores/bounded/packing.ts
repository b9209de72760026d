// Integers are varints: seven bits per byte, lowest bits first, so small ones take one byte.
// The lowest values mark null and doubles, so integers are written with an offset.
const [nullMark, doubleMark, integerOffset] = [0, 1, 2];
const integerLimit = 2 ** 48;
// UTF-8 cannot encode a lone surrogate, so text that contains one is written as JSON.
const [nullText, jsonText, lengthOffset] = [0, 1, 2];

const loneSurrogate = /\p{Surrogate}/u;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A digest is 8 characters of base64url, which encode 6 bytes. */
const digestPattern = /^[A-Za-z0-9_-]{8}$/;
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** The value of each base64url character, by its code. */
const values = new Uint8Array(128);
for (let value = 0; value < alphabet.length; value++) values[alphabet.charCodeAt(value)] = value;
const digestBytes = 6;

/** Whether `Writer.digest` can write the text. */
export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** Scratch memory that all writers share: `end` copies out of it. */
let scratch = new Uint8Array(4096);

/** Serializes numbers and text. Writers share one scratch buffer, so only one may be in use at a time. */
export class Writer {
  #length = 0;

  number(value: number | null): void {
    this.#reserve(9);
    if (value === null) scratch[this.#length++] = nullMark;
    else if (Number.isInteger(value) && value >= 0 && value < integerLimit)
      this.#varint(value + integerOffset);
    else {
      scratch[this.#length++] = doubleMark;
      new DataView(scratch.buffer).setFloat64(this.#length, value);
      this.#length += 8;
    }
  }

  text(value: string | null): void {
    this.#reserve(18 + 3 * (value?.length ?? 0));
    if (value === null) return this.#varint(nullText);
    if (loneSurrogate.test(value)) {
      this.#varint(jsonText);
      return this.text(JSON.stringify(value));
    }
    const bytes = encoder.encode(value);
    this.#varint(bytes.length + lengthOffset);
    scratch.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The value must satisfy `isDigest`. */
  digest(value: string): void {
    this.#reserve(digestBytes);
    for (let at = 0; at < 8; at += 4) {
      let bits = 0;
      for (let next = at; next < at + 4; next++)
        bits = bits * 64 + (values[value.charCodeAt(next)] ?? 0);
      scratch[this.#length++] = bits >> 16;
      scratch[this.#length++] = bits >> 8;
      scratch[this.#length++] = bits;
    }
  }

  /** Returns a copy of all that was written, followed by `body`. */
  end(body: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length + body.length);
    bytes.set(scratch.subarray(0, this.#length));
    bytes.set(body, this.#length);
    return bytes;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      scratch[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    scratch[this.#length++] = rest;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= scratch.length) return;
    const larger = new Uint8Array(2 * (this.#length + bytes));
    larger.set(scratch);
    scratch = larger;
  }
}

/** Reads what a Writer wrote. The order of the calls must be the same. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number | null {
    const value = this.#varint();
    if (value === nullMark) return null;
    if (value !== doubleMark) return value - integerOffset;
    const { buffer, byteOffset } = this.#bytes;
    this.#at += 8;
    return new DataView(buffer, byteOffset).getFloat64(this.#at - 8);
  }

  text(): string | null {
    const length = this.#varint();
    if (length === nullText) return null;
    if (length === jsonText) return JSON.parse(this.text() ?? '""') as string;
    this.#at += length - lengthOffset;
    return decoder.decode(this.#bytes.subarray(this.#at - length + lengthOffset, this.#at));
  }

  digest(): string {
    let value = '';
    for (let group = 0; group < 2; group++) {
      const bits = (this.#byte() << 16) | (this.#byte() << 8) | this.#byte();
      for (const shift of [18, 12, 6, 0]) value += alphabet[(bits >> shift) & 63] ?? '';
    }
    return value;
  }

  /** The bytes that are not read yet, as a view. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  #varint(): number {
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
