import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import {
  bodyOf,
  lengthOf,
  type StoredBody,
  storedBody,
} from '../../../policies/llm-cache/stores/stored-body.ts';
import { answers } from '../../support/answers.ts';

const repeated = (text: string, bytes: number) => Buffer.alloc(bytes, text);

describe('A body as stored in Redis', () => {
  for (const [what, body, coding] of [
    ['that repeats itself is compressed', repeated(answers.chat.sse, 8000), 1],
    ['that is large is compressed', repeated(answers.chat.sse, 3_000_000), 1],
    ['that is short is left as it is', repeated('a', 1000), 0],
    ['that hardly shrinks is left as it is', randomBytes(5000), 0],
    ['that is empty is left as it is', Buffer.alloc(0), 0],
  ] as const) {
    it(`A stored body ${what}, and comes back byte for byte`, async () => {
      const stored = await storedBody(body);
      expect([stored.coding, lengthOf(stored)]).to.deep.equal([coding, body.length]);
      if (coding === 1) expect(stored.bytes.length).to.be.below(body.length / 5);
      expect(Buffer.compare(await bodyOf(stored), body)).to.equal(0);
    });
  }

  it('A stored body that was changed, cut or is longer than it says does not come back', async () => {
    for (const size of [4000, 400_000]) {
      const { bytes } = await storedBody(repeated(answers.chat.sse, size));
      const from = (change: (bytes: Buffer) => Buffer): StoredBody => ({
        coding: 1,
        bytes: change(Buffer.from(bytes)),
      });
      const damaged = {
        changed: from((one) => (one.writeUInt8(one.readUInt8(30) ^ 1, 30), one)),
        cut: from((one) => one.subarray(0, -9)),
        'longer than it says': from((one) => (one.writeUInt32LE(size - 1, one.length - 4), one)),
      };
      for (const [what, stored] of Object.entries(damaged)) {
        const got = await bodyOf(stored).then(
          () => 'a body',
          () => 'none',
        );
        expect(got, `${what}, ${size} bytes`).to.equal('none');
      }
    }
  });
});
