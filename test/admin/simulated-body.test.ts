import { Readable } from 'node:stream';
import { expect } from 'chai';
import type { AdminRequest } from '../../policies/admin/http.ts';
import { type AskedQuestion, readQuestion } from '../../policies/admin/simulated-body.ts';

/** Reads the question in a request with that body, and counts the event loop's turns meanwhile. */
async function asked(text: string): Promise<{ question: AskedQuestion; turns: number }> {
  const req = Object.assign(Readable.from([Buffer.from(text)]), {
    headers: { 'content-type': 'text/plain' },
  }) as unknown as AdminRequest;
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const question = await readQuestion(req, (found) => Promise.resolve(found));
  isOver = true;
  return { question, turns };
}

describe('The question of an explain request', () => {
  it("An explain question keeps its body's bytes, whether it is an object or a text", async () => {
    for (const [body, bytes] of [
      ['{ "model": "m", "n": 1.0 }', '{ "model": "m", "n": 1.0 }'],
      [JSON.stringify('{"a":\t"ü"}'), '{"a":\t"ü"}'],
    ] as const) {
      const { question } = await asked(`{"path":"/p","body":${body},"headers":{}}`);
      expect(Buffer.from(question.body ?? []).toString()).to.equal(bytes);
      expect(question.asked).to.include({ path: '/p' });
    }
  });

  it('An explain question of megabytes is read in turns, so that other requests are answered', async () => {
    const body = JSON.stringify({ model: 'm', x: Array.from({ length: 1_000_000 }, () => ({})) });
    const { question, turns } = await asked(`{"path":"/p","body":${body}}`);
    expect(question.body?.length).to.equal(body.length);
    expect(turns).to.be.above(10);
  });
});
