import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import type { Seal, Sealed } from '../../../policies/llm-cache/stores/seal.ts';
import { Signature } from '../../../policies/llm-cache/stores/signature.ts';

const newKey = () => randomBytes(32).toString('base64');

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const key = newKey();
const encryption = new Encryption([key]);
const text = new TextEncoder().encode('a secret answer');

describe('The encryption at rest', () => {
  const open = (by: Seal, name: string, { proof, bytes }: Sealed) =>
    by.open([name], { proof, bytes });

  it('The encryption returns what it was given, of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.string(), (bytes, name) => {
        const got = open(encryption, name, encryption.seal([name], bytes));
        expect(got && Buffer.compare(got, bytes)).to.equal(0);
      }),
    );
  });

  it('The encryption never seals equal texts alike, and shows nothing of them', () => {
    const made = Array.from({ length: 1000 }, () => encryption.seal(['a'], text));
    expect(new Set(made.map(({ bytes }) => hexOf(bytes))).size).to.equal(1000);
    // The nonces: twice the same one under one key would give both texts away.
    expect(new Set(made.map(({ proof }) => hexOf(proof.subarray(4, 16)))).size).to.equal(1000);
    for (const { proof, bytes } of made) {
      expect(Buffer.concat([proof, bytes]).includes('secret')).to.equal(false);
    }
  });

  it('The encryption shows nothing of its key', () => {
    const made = Buffer.from(encryption.seal(['a'], text).proof.subarray(0, 4));
    expect(Buffer.from(key, 'base64').includes(made)).to.equal(false);
  });

  it('The encryption seals with the first key, and opens with all', () => {
    const [old, fresh] = [newKey(), newKey()];
    const before = new Encryption([old]);
    const during = new Encryption([fresh, old]);
    const after = new Encryption([fresh]);
    const [early, late] = [before.seal(['a'], text), during.seal(['a'], text)];
    expect(open(during, 'a', early)).to.deep.equal(Buffer.from(text));
    expect(open(during, 'a', late)).to.deep.equal(Buffer.from(text));
    expect(open(after, 'a', late)).to.deep.equal(Buffer.from(text));
    expect(open(after, 'a', early)).to.equal(undefined);
    expect(open(before, 'a', late)).to.equal(undefined);
  });
});

describe('A signature', () => {
  it('A signature leaves the bytes as they are, and is valid only under its secret', () => {
    const sealed = new Signature('one').seal(['a'], text);
    expect(sealed.bytes).to.equal(text);
    expect(new Signature('one').open(['a'], sealed)).to.equal(text);
    expect(new Signature('other').open(['a'], sealed)).to.equal(undefined);
    expect(encryption.open(['a'], sealed)).to.equal(undefined);
  });
});

for (const [what, seal] of [
  ['encrypted', encryption],
  ['signed', new Signature('secret')],
] as const) {
  describe(`Sealed bytes (${what})`, () => {
    const made = seal.seal(['name', 7, 'kind'], text);

    it(`Bytes that were ${what} do not open when a single bit of them or their proof changed`, () => {
      for (const part of ['proof', 'bytes'] as const) {
        for (let bit = 0; bit < made[part].length * 8; bit++) {
          const changed = new Uint8Array(made[part]);
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          const got = seal.open(['name', 7, 'kind'], { ...made, [part]: changed });
          expect(got, `${part}, bit ${bit}`).to.equal(undefined);
        }
      }
    });

    it(`Bytes that were ${what} do not open when they or their proof were cut or lengthened`, () => {
      for (const part of ['proof', 'bytes'] as const) {
        const whole = made[part];
        const others = Array.from(whole.keys(), (length) => whole.subarray(0, length));
        for (const other of [...others, Buffer.concat([whole, Buffer.of(0)])]) {
          const got = seal.open(['name', 7, 'kind'], { ...made, [part]: other });
          expect(got, `${part} of ${other.length}`).to.equal(undefined);
        }
      }
    });

    it(`Bytes that were ${what} open in no other place, however its parts are put together`, () => {
      for (const place of [
        ['name', 8, 'kind'],
        ['name', 7, 'kind', ''],
        ['name', '7kind'],
        ['name7', 'kind'],
        ['7', 'name', 'kind'],
        ['name', 7],
        [],
      ]) {
        expect(seal.open(place, made), JSON.stringify(place)).to.equal(undefined);
      }
      expect(seal.open(['name', 7, 'kind'], made)).to.deep.equal(
        seal.open(['name', '7', 'kind'], made),
      );
    });
  });
}
