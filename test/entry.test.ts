import { expect } from 'chai';
import * as fc from 'fast-check';
import { decodeEntry, encodeEntry } from '../policies/llm-cache/entry.ts';
import { makeEntry } from './support/entry.ts';

const entry = makeEntry(1_700_000_000_000, { consumer: 'ada ü', stream: true });

describe('an encoded entry', () => {
  it('decodes to what it was made of', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.option(fc.string()),
        fc.dictionary(fc.string(), fc.string()),
        (body, model, headers) => {
          const made = makeEntry(5, { body, model, headers: { ...headers } });
          const { body: got, ...rest } = decodeEntry(encodeEntry(made)) ?? entry;
          const { body: _body, ...expected } = made;
          expect(JSON.stringify(rest)).to.equal(JSON.stringify(expected));
          expect(Buffer.compare(got, body)).to.equal(0);
        },
      ),
    );
  });

  it('decodes out of the middle of a larger buffer', () => {
    const bytes = encodeEntry(entry);
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 7);
    expect(decodeEntry(larger.subarray(7, 7 + bytes.length))?.consumer).to.equal('ada ü');
  });

  it('of a version that is not known, or of something else, is none', () => {
    const bytes = encodeEntry(entry);
    for (const [at, value] of [
      [4, 2],
      [4, 0],
      [0, 0x6c],
    ] as const) {
      const other = bytes.slice();
      other[at] = value;
      expect(decodeEntry(other)).to.equal(undefined);
    }
    expect(decodeEntry(new Uint8Array())).to.equal(undefined);
    expect(decodeEntry(new TextEncoder().encode('{"a":1}'))).to.equal(undefined);
  });

  it('that is damaged or cut never throws, and never gives an entry with a part missing', () => {
    const bytes = encodeEntry(entry);
    const damage = fc.record({
      cut: fc.integer({ min: 0, max: bytes.length }),
      at: fc.integer({ min: 0, max: bytes.length - 1 }),
      value: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(damage, ({ cut, at, value }) => {
        const damaged = bytes.slice(0, cut);
        if (at < cut) damaged[at] = value;
        const decoded = decodeEntry(damaged);
        if (decoded === undefined) return;
        expect(Object.keys(decoded)).to.have.members(Object.keys(entry));
        expect(decoded.storedAt).to.be.a('number');
        expect(decoded.headers).to.be.an('object');
      }),
      { numRuns: 2000 },
    );
  });

  it('whose head is JSON of another shape is none', () => {
    for (const head of [
      '{}',
      '[]',
      'null',
      '{"namespace":1}',
      JSON.stringify({ ...entry, headers: null, body: undefined }),
    ]) {
      const text = new TextEncoder().encode(head);
      const bytes = new Uint8Array(9 + text.length);
      bytes.set(encodeEntry(entry).subarray(0, 5));
      new DataView(bytes.buffer).setUint32(5, text.length);
      bytes.set(text, 9);
      expect(decodeEntry(bytes), head).to.equal(undefined);
    }
  });
});
