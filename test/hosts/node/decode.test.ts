import { randomBytes } from 'node:crypto';
import * as zlib from 'node:zlib';
import { expect } from 'chai';
import type { RefusalReason } from '../../../policies/shared/reasons.ts';
import { decodeNow, decoding } from '../../../policies/hosts/node/decode.ts';
import { decoding as webDecoding } from '../../../policies/hosts/fetch/decode.ts';

const text = 'data: {"choices":[{"delta":{"content":"Grüße"}}]}\n\n'.repeat(50);

/** What comes out; `first` resolves at the first bytes, `over` at the ending. */
class Sink {
  isDone = false;
  readonly chunks: Uint8Array[] = [];
  readonly endings: string[] = [];
  readonly first: Promise<void>;
  readonly over: Promise<void>;
  #begin: () => void = () => {};
  #finish: () => void = () => {};

  constructor() {
    this.first = new Promise((resolve) => (this.#begin = resolve));
    this.over = new Promise((resolve) => (this.#finish = resolve));
  }

  chunk(bytes: Uint8Array): void {
    expect(this.endings, 'nothing comes behind the ending').to.deep.equal([]);
    this.chunks.push(bytes);
    this.#begin();
  }

  end(): void {
    this.#ending('end');
  }

  abort(reason: RefusalReason): void {
    this.#ending(reason);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  #ending(ending: string): void {
    this.endings.push(ending);
    this.#finish();
  }
}

/** Feeds `bytes` in pieces of `size`, ends, and waits for the outcome. */
async function decoded(codings: string, bytes: Uint8Array, size = Infinity): Promise<Sink> {
  const sink = new Sink();
  const decoder = decoding(codings, sink);
  const step = Math.min(size, bytes.length) || 1;
  for (let at = 0; at < bytes.length; at += step) decoder.chunk(bytes.subarray(at, at + step));
  decoder.end();
  await sink.over;
  await turns();
  expect(sink.endings, 'it ends once').to.have.length(1);
  return sink;
}

/** Lets what is already due happen. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const encoders = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
} as const;
const codings = Object.entries(encoders);

describe('The decoder of a body', () => {
  for (const [coding, encode] of codings) {
    // Deno's brotli does not tell that its input broke off; the answer's own ending does.
    const tells = coding !== 'br' || !('Deno' in globalThis);

    describe(coding, () => {
      it(`The ${coding} decoder gives the bytes back, however they are cut`, async () => {
        for (const size of [1, 7, Infinity]) {
          const sink = await decoded(coding, encode(text), size);
          expect(sink.endings).to.deep.equal(['end']);
          expect(sink.bytes.toString()).to.equal(text);
        }
      });

      it(`The ${coding} decoder gives every byte of a large body back`, async () => {
        const body = randomBytes(1024 * 1024);
        const sink = await decoded(coding, encode(body), 64 * 1024);
        expect(sink.bytes.equals(body)).to.equal(true);
      });

      it(`The ${coding} decoder gives an empty body back`, async () => {
        const sink = await decoded(coding, encode(''));
        expect([sink.bytes.length, ...sink.endings]).to.deep.equal([0, 'end']);
      });

      it(`The ${coding} decoder passes on what it has before the end has come`, async () => {
        const sink = new Sink();
        const body = encode(randomBytes(256 * 1024));
        const decoder = decoding(coding, sink);
        decoder.chunk(body.subarray(0, 200 * 1024));
        await sink.first;
        decoder.abort('aborted');
        expect(sink.endings).to.deep.equal(['aborted']);
      });

      (tells ? it : it.skip)(`The ${coding} decoder refuses a truncated body`, async () => {
        for (const cut of [1, 5, 20]) {
          const sink = await decoded(coding, encode(text).subarray(0, -cut));
          expect(sink.endings, `${cut} bytes short`).to.deep.equal(['encoding']);
        }
      });

      (tells ? it : it.skip)(`The ${coding} decoder refuses a body of no bytes`, async () => {
        const sink = await decoded(coding, new Uint8Array());
        expect(sink.endings).to.deep.equal(['encoding']);
      });

      it(`The ${coding} decoder refuses a body that is not encoded at all`, async () => {
        const sink = await decoded(coding, Buffer.from(text));
        expect(sink.endings).to.deep.equal(['encoding']);
      });

      it(`The ${coding} decoder does not take the end of the coding for the end of the body`, async () => {
        const sink = new Sink();
        const decoder = decoding(coding, sink);
        decoder.chunk(Buffer.concat([encode(text), Buffer.from('and more')]));
        await Promise.race([sink.first, sink.over]);
        await turns();
        decoder.abort('aborted');
        expect(sink.endings).to.have.length(1);
        expect(sink.endings[0]).to.be.oneOf(['aborted', 'encoding']);
      });
    });
  }

  for (const coding of ['gzip', 'deflate']) {
    it(`The ${coding} decoder refuses a body whose checksum is wrong`, async () => {
      const body = Buffer.from(encoders[coding as 'gzip'](text));
      const at = body.length - (coding === 'gzip' ? 8 : 4);
      body[at] = (body[at] ?? 0) ^ 0xff;
      expect((await decoded(coding, body)).endings).to.deep.equal(['encoding']);
    });
  }

  it('The gzip decoder joins the members of a body', async () => {
    const body = Buffer.concat([zlib.gzipSync('one, '), zlib.gzipSync('two')]);
    expect((await decoded('gzip', body)).bytes.toString()).to.equal('one, two');
  });

  it('The decoder undoes a chain of codings, the last one first', async () => {
    const chains: readonly (readonly [string, Uint8Array])[] = [
      ['gzip, br', zlib.brotliCompressSync(zlib.gzipSync(text))],
      ['br,deflate , gzip', zlib.gzipSync(zlib.deflateSync(zlib.brotliCompressSync(text)))],
      ['gzip, gzip, gzip', [1, 2, 3].reduce((body) => zlib.gzipSync(body), Buffer.from(text))],
    ];
    for (const [chain, body] of chains) {
      const sink = await decoded(chain, body, 100);
      expect(sink.bytes.toString(), chain).to.equal(text);
    }
  });

  it('The decoder refuses a chain of codings that is damaged inside', async () => {
    const body = zlib.gzipSync(zlib.gzipSync(text).subarray(0, -5));
    expect((await decoded('gzip, gzip', body)).endings).to.deep.equal(['encoding']);
  });

  it('The decoder refuses a chain of codings that is damaged outside', async () => {
    const body = zlib.gzipSync(zlib.gzipSync(text)).subarray(0, -5);
    expect((await decoded('gzip, gzip', body)).endings).to.deep.equal(['encoding']);
  });

  it('The decoder knows codings in any case, and x-gzip', async () => {
    for (const name of ['GZIP', 'x-gzip', ' gzip ', 'identity, gzip', 'gzip,']) {
      expect((await decoded(name, zlib.gzipSync(text))).bytes.toString(), name).to.equal(text);
    }
  });

  it('The decoder stands aside where there is nothing to undo', () => {
    for (const name of ['', 'identity', ' Identity , ', ',']) {
      const sink = new Sink();
      expect(decoding(name, sink), name).to.equal(sink);
    }
  });

  it('The decoder undoes zstd where the runtime can', async function () {
    if (!('zstdCompressSync' in zlib)) return this.skip();
    const encode = zlib.zstdCompressSync as (body: string) => Buffer;
    expect((await decoded('zstd', encode(text))).bytes.toString()).to.equal(text);
  });

  for (const name of [
    'compress',
    'aes128gcm',
    'gzip, compress',
    'compress, gzip',
    'gzip;q=1',
    'gzip, gzip, gzip, gzip',
  ]) {
    it(`The decoder refuses ${name} at once, and ignores the rest of the body`, async () => {
      const sink = new Sink();
      const decoder = decoding(name, sink);
      expect(sink.endings).to.deep.equal(['encoding']);
      decoder.chunk(zlib.gzipSync(text));
      decoder.end();
      decoder.abort('aborted');
      await turns();
      expect(sink.endings).to.deep.equal(['encoding']);
      expect(sink.chunks).to.deep.equal([]);
    });
  }

  it('The decoder ignores what comes after an abort', async () => {
    const sink = new Sink();
    const decoder = decoding('gzip', sink);
    decoder.chunk(zlib.gzipSync(text));
    decoder.abort('client-left');
    decoder.chunk(zlib.gzipSync(text));
    decoder.end();
    decoder.abort('aborted');
    await turns();
    expect(sink.endings).to.deep.equal(['client-left']);
    expect(sink.chunks).to.deep.equal([]);
  });

  it('The decoder gives up when a body comes faster than it can decode', async () => {
    const sink = new Sink();
    const decoder = decoding('gzip', sink);
    const body = zlib.gzipSync(randomBytes(17 * 1024 * 1024), { level: 0 });
    decoder.chunk(body);
    expect(sink.endings).to.deep.equal(['buffer-limit']);
    decoder.chunk(body);
    decoder.end();
    await turns();
    expect(sink.endings).to.deep.equal(['buffer-limit']);
  });
});

/** A sink that is done after so many bytes. */
class FullSink extends Sink {
  readonly #enough: number;
  taken = 0;

  constructor(enough: number) {
    super();
    this.#enough = enough;
  }

  override chunk(bytes: Uint8Array): void {
    this.taken += bytes.length;
    if (this.taken > this.#enough) this.isDone = true;
  }
}

for (const [host, decode] of [
  ['Node', decoding],
  ['Web', webDecoding],
] as const) {
  describe(`The ${host} decoder of a decompression bomb`, () => {
    const mebibyte = 1 << 20;
    // Members of one body, so that a gigabyte costs the test little.
    const member = zlib.gzipSync(Buffer.alloc(8 * mebibyte, 97), { level: 9 });
    const gigabyte = Buffer.concat(Array<Buffer>(128).fill(member));
    // Deno's streams take a body of several members for none.
    const isDenos = host === 'Web' && 'Deno' in globalThis;
    const bomb = isDenos ? zlib.gzipSync(Buffer.alloc(64 * mebibyte, 97), { level: 9 }) : gigabyte;
    const bombs: readonly (readonly [string, Uint8Array])[] = [
      ['gzip', bomb],
      ['gzip, gzip', zlib.gzipSync(bomb)],
      ['gzip, gzip, gzip', zlib.gzipSync(zlib.gzipSync(bomb))],
    ];

    for (const [chain, body] of bombs) {
      it(`The ${host} decoder stops unpacking ${chain} when no reader wants more`, async () => {
        const sink = new FullSink(2 * mebibyte);
        const decoder = decode(chain, sink);
        for (let at = 0; at < body.length; at += 65_536) {
          decoder.chunk(body.subarray(at, at + 65_536));
        }
        decoder.end();
        await sink.over;
        const { taken } = sink;
        await turns();
        expect(sink.endings).to.deep.equal(['too-large']);
        expect(sink.taken, 'nothing comes behind it').to.equal(taken);
        expect(taken).to.be.lessThan(3 * mebibyte);
      });

      it(`The ${host} decoder stops by itself when ${chain} unpacks without end`, async () => {
        const sink = new FullSink(Infinity);
        const decoder = decode(chain, sink);
        decoder.chunk(body.subarray(0, 65_536));
        decoder.end();
        await sink.over;
        await turns();
        expect(sink.endings).to.deep.equal(['too-large']);
        expect(sink.taken).to.be.lessThan(24 * mebibyte);
      });
    }

    it(`The ${host} decoder stops when the inner coding of a bomb gives nothing`, async () => {
      const empty = zlib.gzipSync('');
      const body = zlib.gzipSync(Buffer.concat(Array<Buffer>(2 * mebibyte).fill(empty)));
      const sink = new FullSink(Infinity);
      const decoder = decode('gzip, gzip', sink);
      decoder.chunk(body);
      decoder.end();
      await sink.over;
      expect(sink.endings).to.deep.equal(['too-large']);
      expect(sink.taken).to.equal(0);
    });

    it(`The ${host} decoder is not used for a sink that wants nothing`, () => {
      const sink = new FullSink(0);
      sink.isDone = true;
      expect(decode('gzip', sink)).to.equal(sink);
    });

    it(`The ${host} decoder gives all of a long stream of small, equal events`, async () => {
      const event = (n: number) =>
        `data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"${n * 7919}"}}]}\n\n`;
      const stream = Buffer.from(Array.from({ length: 250_000 }, (_, n) => event(n)).join(''));
      const packed = zlib.gzipSync(stream, { level: 9 });
      const sink = new FullSink(Infinity);
      const decoder = decode('gzip', sink);
      for (let at = 0; at < packed.length; at += 16_384) {
        decoder.chunk(packed.subarray(at, at + 16_384));
      }
      decoder.end();
      await sink.over;
      expect(stream.length).to.be.greaterThan(16 * mebibyte);
      expect([...sink.endings, sink.taken]).to.deep.equal(['end', stream.length]);
    });
  });
}

describe('A whole body in content codings', () => {
  const plain = Buffer.from(text);
  const packed = (times: number) =>
    Array.from({ length: times }).reduce<Buffer>((bytes) => zlib.gzipSync(bytes), plain);
  const gzips = (times: number) => Array.from({ length: times }, () => 'gzip').join(', ');

  it('A whole body is decoded from as many content codings as clients apply', () => {
    const both = zlib.brotliCompressSync(zlib.deflateSync(plain));
    for (const [applied, bytes] of [
      ['', plain],
      ['gzip', packed(1)],
      [gzips(3), packed(3)],
      ['deflate, br', both],
    ] as const) {
      expect(decodeNow(applied, bytes, plain.length), applied).to.deep.equal(plain);
    }
  });

  it('A whole body is not decoded from more content codings, from an unknown one, or past its bound', () => {
    expect(decodeNow(gzips(4), packed(4), 1e6)).to.equal(null);
    expect(decodeNow(gzips(1000), packed(1), 1e6)).to.equal(null);
    expect(decodeNow('compress', plain, 1e6)).to.equal(null);
    expect(decodeNow('gzip', packed(1), plain.length - 1)).to.equal(null);
    expect(decodeNow('gzip', plain, 1e6)).to.equal(null);
  });
});
