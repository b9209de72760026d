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
      [4, 1],
      [4, 3],
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
        for (const text of Object.values(decoded.headers)) expect(text).to.be.a('string');
      }),
      { numRuns: 2000 },
    );
  });

  const withHead = (head: string) => {
    const text = new TextEncoder().encode(head);
    const bytes = new Uint8Array(9 + text.length);
    bytes.set(encodeEntry(entry).subarray(0, 5));
    new DataView(bytes.buffer).setUint32(5, text.length);
    bytes.set(text, 9);
    return bytes;
  };
  const { body: _body, ...head } = entry;

  it('whose head is JSON of another shape is none', () => {
    expect(decodeEntry(withHead(JSON.stringify(head)))).to.not.equal(undefined);
    for (const other of ['{}', '[]', 'null', '1', '{"namespace":1}', '{', '']) {
      expect(decodeEntry(withHead(other)), other).to.equal(undefined);
    }
    const { usage } = head;
    for (const part of [
      { headers: null },
      { headers: [] },
      { headers: { 'content-type': 1 } },
      { headers: { 'content-type': null } },
      { usage: [] },
      { usage: {} },
      { usage: { ...usage, inputTokens: '11' } },
      { usage: { ...usage, details: null } },
      { usage: { ...usage, details: { cached_tokens: '4' } } },
      { one: 'member more' },
    ]) {
      const text = JSON.stringify({ ...head, ...part });
      expect(decodeEntry(withHead(text)), text).to.equal(undefined);
    }
    const text = JSON.stringify(head).replace(/"expiresAt":\d+/, '"expiresAt":1e999');
    expect(decodeEntry(withHead(text)), text).to.equal(undefined);
  });

  it('without a member, or with one of another type, is none', () => {
    for (const name of Object.keys(head)) {
      expect(decodeEntry(withHead(JSON.stringify({ ...head, [name]: undefined }))), name).to.equal(
        undefined,
      );
      expect(decodeEntry(withHead(JSON.stringify({ ...head, [name]: [1] }))), name).to.equal(
        undefined,
      );
    }
  });
});
