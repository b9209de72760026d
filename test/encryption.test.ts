import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { Encryption } from '../policies/llm-cache/stores/encryption.ts';

const newKey = () => randomBytes(32).toString('base64');

describe('encryption at rest', () => {
  const key = newKey();
  const encryption = new Encryption([key]);
  const text = new TextEncoder().encode('a secret answer');

  it('gives back what it was given, of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.string(), (bytes, name) => {
        const got = encryption.decrypt(name, encryption.encrypt(name, bytes));
        expect(got && Buffer.compare(got, bytes)).to.equal(0);
      }),
    );
  });

  it('never makes the same of the same, and shows nothing of it', () => {
    const made = Array.from({ length: 1000 }, () => encryption.encrypt('a', text));
    expect(new Set(made.map((bytes) => bytes.toString('hex'))).size).to.equal(1000);
    // The nonces: twice the same one under one key would give both texts away.
    expect(new Set(made.map((bytes) => bytes.subarray(9, 21).toString('hex'))).size).to.equal(1000);
    for (const bytes of made) expect(bytes.includes('secret')).to.equal(false);
  });

  it('shows nothing of its key', () => {
    const made = encryption.encrypt('a', text);
    const secret = Buffer.from(key, 'base64');
    for (let at = 0; at + 4 <= secret.length; at++) {
      expect(made.subarray(0, 9).includes(secret.subarray(at, at + 4))).to.equal(false);
    }
  });

  it('takes nothing of which a single bit was changed', () => {
    const made = encryption.encrypt('a', text);
    for (let bit = 0; bit < made.length * 8; bit++) {
      const changed = Buffer.from(made);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(encryption.decrypt('a', changed), `bit ${bit}`).to.equal(undefined);
    }
  });

  it('takes nothing that was cut, lengthened or put under another name', () => {
    const made = encryption.encrypt('a', text);
    for (let length = 0; length < made.length; length++) {
      expect(encryption.decrypt('a', made.subarray(0, length))).to.equal(undefined);
    }
    expect(encryption.decrypt('a', Buffer.concat([made, Buffer.of(0)]))).to.equal(undefined);
    expect(encryption.decrypt('b', made)).to.equal(undefined);
    expect(encryption.decrypt('a', Buffer.from(text))).to.equal(undefined);
  });

  it('lets keys rotate: the first encrypts, all decrypt', () => {
    const [old, fresh] = [newKey(), newKey()];
    const before = new Encryption([old]);
    const during = new Encryption([fresh, old]);
    const after = new Encryption([fresh]);
    const [early, late] = [before.encrypt('a', text), during.encrypt('a', text)];
    expect(during.decrypt('a', early)).to.deep.equal(Buffer.from(text));
    expect(during.decrypt('a', late)).to.deep.equal(Buffer.from(text));
    expect(after.decrypt('a', late)).to.deep.equal(Buffer.from(text));
    expect(after.decrypt('a', early)).to.equal(undefined);
    expect(before.decrypt('a', late)).to.equal(undefined);
  });
});
