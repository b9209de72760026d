import { expect } from 'chai';
import * as fc from 'fast-check';
import type { CachedResponse } from '../../../policies/llm-cache/entry.ts';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import type { Seal } from '../../../policies/llm-cache/stores/seal.ts';
import { Signature } from '../../../policies/llm-cache/stores/signature.ts';
import {
  readSnapshot,
  SnapshotFault,
  writeSnapshot,
} from '../../../policies/llm-cache/stores/snapshot.ts';
import type { StoredEntry } from '../../../policies/llm-cache/stores/store.ts';
import { cutAt } from '../../fixtures/validate.ts';
import { makeEntry } from '../../support/entry.ts';

const keyOf = (byte: number) => Buffer.alloc(32, byte).toString('base64');
const signed = new Signature('a secret');
const encrypted = new Encryption([keyOf(1)]);

const stored: readonly StoredEntry[] = [0, 1, 2].map((at) => ({
  key: `openai:anonymous:key-${at}`,
  entry: makeEntry(0, {
    body: new TextEncoder().encode(`the answer number ${at}`),
    model: `m${at}`,
  }),
}));

async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

async function written(seal: Seal, entries = stored): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of writeSnapshot(each(entries), seal)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** What is read before the end, or before the fault that is told. */
async function read(
  pieces: readonly Uint8Array[],
  seal: Seal,
): Promise<{ entries: StoredEntry[]; fault: string | null }> {
  const entries: StoredEntry[] = [];
  try {
    for await (const one of readSnapshot(each(pieces), seal)) entries.push(one);
  } catch (error) {
    if (!(error instanceof SnapshotFault)) throw error;
    return { entries, fault: error.message };
  }
  return { entries, fault: null };
}

const plain = ({ body, ...head }: CachedResponse) => ({
  ...head,
  body: Buffer.from(body).toString(),
});
const shown = (entries: readonly StoredEntry[]) =>
  entries.map(({ key, entry }) => [key, plain(entry)]);

describe('A snapshot', () => {
  for (const [how, seal] of Object.entries({ signed, encrypted })) {
    it(`A snapshot has the entries as they were, ${how}, in whatever pieces it comes`, async () => {
      const bytes = await written(seal);
      expect(bytes.includes('the answer number 1')).to.equal(how === 'signed');
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 20 }), async (cuts) => {
          const { entries, fault } = await read(cutAt(bytes, cuts), seal);
          expect(fault).to.equal(null);
          expect(shown(entries)).to.deep.equal(shown(stored));
        }),
        { numRuns: 30 },
      );
      const bytewise = Array.from(bytes, (byte) => Uint8Array.of(byte));
      expect((await read(bytewise, seal)).entries).to.have.length(3);
    });

    it(`A snapshot that is cut off is damaged, and its whole entries are right (${how})`, async () => {
      const bytes = await written(seal);
      for (let length = 0; length < bytes.length; length++) {
        const { entries, fault } = await read([bytes.subarray(0, length)], seal);
        expect(fault, `cut at ${length}`).to.match(
          /^it is (damaged after \d entries|not a cache snapshot)/,
        );
        expect(shown(entries)).to.deep.equal(shown(stored.slice(0, entries.length)));
      }
    });

    it(`A snapshot with a changed byte gives no entry that was not written (${how})`, async () => {
      const bytes = await written(seal);
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 0x21;
        const { entries, fault } = await read([changed], seal);
        expect(fault, `changed at ${at}`).to.not.equal(null);
        expect(shown(entries)).to.deep.equal(shown(stored.slice(0, entries.length)));
      }
    });
  }

  it('A snapshot of another secret, key or version is not read, and says so', async () => {
    const foreign = 'it was written with another scopeSecret or encryption key';
    for (const [one, other] of [
      [signed, new Signature('another')],
      [signed, encrypted],
      [encrypted, signed],
      [encrypted, new Encryption([keyOf(2)])],
    ] as const) {
      expect(await read([await written(one)], other)).to.deep.equal({
        entries: [],
        fault: foreign,
      });
    }
    const rotated = new Encryption([keyOf(2), keyOf(1)]);
    expect((await read([await written(encrypted)], rotated)).entries).to.have.length(3);
    const older = await written(signed);
    older[8] = 0;
    expect((await read([older], signed)).fault).to.equal('it was written by another version');
  });

  it('A snapshot may be empty, and other bytes are no snapshot', async () => {
    expect(await read([await written(signed, [])], signed)).to.deep.equal({
      entries: [],
      fault: null,
    });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        expect((await read([bytes], signed)).fault).to.not.equal(null);
      }),
    );
  });

  it('A snapshot that was joined from two is damaged', async () => {
    const [one, two] = await Promise.all(
      stored.slice(0, 2).map((entry) => written(signed, [entry])),
    );
    const begin = 41;
    const joined = Buffer.concat([
      one?.subarray(0, -40) ?? Buffer.of(),
      two?.subarray(begin) ?? Buffer.of(),
    ]);
    // Two whole entries, and an end that tells of one.
    const { entries, fault } = await read([joined], signed);
    expect([entries.length, fault]).to.deep.equal([2, 'it is damaged after 2 entries']);
  });
});
