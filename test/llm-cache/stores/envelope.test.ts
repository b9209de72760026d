import { expect } from 'chai';
import { encodeHead, entryOf } from '../../../policies/llm-cache/entry.ts';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import {
  Envelope,
  isOtherVersion,
  markOf,
  maxHeadEnd,
} from '../../../policies/llm-cache/stores/envelope.ts';
import { Signature } from '../../../policies/llm-cache/stores/signature.ts';
import {
  uncompressed,
  lengthOf,
  storedBody,
} from '../../../policies/llm-cache/stores/stored-body.ts';
import { makeEntry } from '../../support/entry.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const entry = makeEntry(1_700_000_000_000, { consumer: 'ada ü', stream: true });

for (const [what, seal] of [
  ['signed', new Signature('secret')],
  ['encrypted', new Encryption([key])],
] as const) {
  describe(`An ${what} entry for Redis`, () => {
    const envelope = new Envelope(seal);
    const bytes = envelope.wrap('name', entry);
    /** What a reader gets that has all the bytes. */
    const open = (stored: Buffer, name = 'name') => {
      const opened = envelope.open(name, stored);
      if (opened?.bodyStart === undefined) return undefined;
      const isWhole = stored.length === opened.bodyStart + opened.bodyLength;
      const body = isWhole ? opened.body(stored.subarray(opened.bodyStart)) : undefined;
      return body && entryOf(opened.head, body.bytes);
    };

    it(`A Redis entry that was ${what} opens to what it was made of, body and all`, () => {
      const { body, ...head } = open(bytes) ?? makeEntry(0);
      const { body: put, ...expected } = entry;
      expect(head).to.deep.equal(expected);
      expect(Buffer.compare(body, put)).to.equal(0);
    });

    it(`A Redis entry that was ${what} opens by its head alone, and then with no other body`, () => {
      const opened = envelope.open('name', bytes.subarray(0, bytes.length - entry.body.length));
      expect(opened).to.deep.include({ bodyLength: entry.body.length });
      expect(opened?.head.consumer).to.equal('ada ü');
      expect(opened?.body(new Uint8Array(entry.body.length))).to.equal(undefined);
    });

    it(`A Redis entry that was ${what} does not open when any bit of it was changed`, () => {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(open(changed), `bit ${bit}`).to.equal(undefined);
      }
    });

    it(`A Redis entry that was ${what} does not open when cut, lengthened, renamed or under another key`, () => {
      for (let length = 0; length < bytes.length; length++) {
        expect(open(bytes.subarray(0, length)), `${length} bytes`).to.equal(undefined);
      }
      expect(open(Buffer.concat([bytes, Buffer.of(0)]))).to.equal(undefined);
      expect(open(bytes, 'another name')).to.equal(undefined);
      expect(new Envelope(new Signature('other')).open('name', bytes)).to.equal(undefined);
      const other = new Encryption([Buffer.alloc(32, 8).toString('base64')]);
      expect(new Envelope(other).open('name', bytes)).to.equal(undefined);
    });

    it(`A Redis entry that was ${what} does not open with another body under the same name`, () => {
      const other = envelope.wrap('name', { ...entry, body: Buffer.from('{"id":"chatcmpl-2"}') });
      const { bodyStart = 0 } = envelope.open('name', bytes) ?? {};
      const mixed = Buffer.concat([bytes.subarray(0, bodyStart), other.subarray(-19)]);
      expect(mixed.length).to.equal(bytes.length);
      expect(open(mixed)).to.equal(undefined);
    });

    it(`A Redis entry that was ${what} has a unique mark`, () => {
      const marks = [bytes, envelope.wrap('name', { ...entry, storedAt: 5 })].map(markOf);
      expect(new Set(marks).size).to.equal(2);
      expect(marks[0]?.length).to.equal(32);
    });

    it(`A Redis entry that was ${what} shows its version, and an unknown coding of its body`, () => {
      for (const at of [4, 5]) {
        const other = Buffer.from(bytes);
        other[at] = 9;
        expect(isOtherVersion(other)).to.equal(true);
        expect(open(other)).to.equal(undefined);
      }
      expect(isOtherVersion(bytes)).to.equal(false);
      expect(isOtherVersion(Buffer.from('something else'))).to.equal(false);
    });
  });
}

describe('An entry for Redis', () => {
  it('A Redis entry is readable when signed, and unreadable when encrypted', () => {
    const head = Buffer.from(encodeHead(entry));
    const [signed, encrypted] = [new Signature('secret'), new Encryption([key])].map((seal) =>
      new Envelope(seal).wrap('name', entry),
    );
    expect([signed?.includes(head), signed?.includes(Buffer.from(entry.body))]).to.deep.equal([
      true,
      true,
    ]);
    expect([encrypted?.includes('ada'), encrypted?.includes('chatcmpl')]).to.deep.equal([
      false,
      false,
    ]);
  });

  it("A Redis entry says how its body is compressed, and a newer gateway's coding does not open", async () => {
    const envelope = new Envelope(new Signature('secret'));
    const body = Buffer.from('{"id":"chatcmpl-1"}'.repeat(200));
    const stored = await storedBody(body);
    const wrapped = envelope.wrap('name', { ...entry, body }, stored);
    const opened = envelope.open('name', wrapped);
    const found = opened?.body(wrapped.subarray(opened.bodyStart));
    expect([found?.coding, found && lengthOf(found)]).to.deep.equal([1, body.length]);
    expect(wrapped.length).to.be.below(body.length / 2);
    const newer = Buffer.from(wrapped);
    newer[5] = 2;
    expect([envelope.open('name', newer), isOtherVersion(newer)]).to.deep.equal([undefined, true]);
    const plain = envelope.wrap('name', { ...entry, body }, uncompressed(body));
    // The proof of the head is of the coding as well.
    plain[5] = 1;
    expect(envelope.open('name', plain)).to.equal(undefined);
  });

  it('A Redis entry does not open when its head is too long, though it is signed', () => {
    const envelope = new Envelope(new Signature('secret'));
    const long = envelope.wrap('name', { ...entry, responseId: 'x'.repeat(maxHeadEnd) });
    expect(envelope.open('name', long)).to.equal(undefined);
  });

  it('A Redis entry does not open with parts that no entry has, though it is signed', () => {
    const envelope = new Envelope(new Signature('secret'));
    for (const part of [{ headers: { 'set-cookie': 'a' } }, { storedAt: -1 }, { usage: {} }]) {
      const made = envelope.wrap('name', { ...entry, ...part } as typeof entry);
      expect(envelope.open('name', made), JSON.stringify(part)).to.equal(undefined);
    }
  });
});
