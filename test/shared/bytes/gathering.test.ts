import { expect } from 'chai';
import { Gathering } from '../../../policies/shared/bytes/gathering.ts';

describe('A gathering of chunks', () => {
  let pieces: Uint8Array[];
  let events: string[];
  let errors: unknown[];
  let gathering: Gathering;
  let breaks: boolean;
  beforeEach(() => {
    [pieces, events, errors, breaks] = [[], [], [], false];
    gathering = new Gathering(
      {
        isDone: false,
        chunk: (bytes) => {
          if (breaks) throw new Error('no');
          pieces.push(bytes);
        },
        end: () => void events.push('end'),
        abort: (reason) => void events.push(reason),
      },
      (step) => {
        try {
          step();
        } catch (error) {
          errors.push(error);
        }
      },
    );
  });
  const come = (text: string) => gathering.chunk(Buffer.from(text));
  const text = () => Buffer.concat(pieces).toString();

  it('A gathering passes many small chunks of one moment on as a few', async () => {
    const all = Array.from({ length: 100_000 }, (_, at) => String(at % 10)).join('');
    for (const one of all) come(one);
    await Promise.resolve();
    expect(text() === all).to.equal(true);
    expect(pieces.length).to.be.below(5);
  });

  it('A gathering passes chunks on as they come where they come apart', async () => {
    for (const one of ['data: 1\n\n', 'data: 2\n\n']) {
      come(one);
      await Promise.resolve();
    }
    expect(pieces.map(String).length).to.equal(2);
    expect(text()).to.equal('data: 1\n\ndata: 2\n\n');
  });

  it('A gathering passes a large chunk on at once without copying it', () => {
    const large = Buffer.alloc(10_000);
    gathering.chunk(large);
    expect(pieces).to.deep.equal([large]);
    expect(pieces[0]?.buffer).to.equal(large.buffer);
  });

  it('A gathering keeps the order, and passes all on at the end or an abort', () => {
    come('a');
    come('b'.repeat(5000));
    come('c');
    gathering.end();
    expect(text()).to.equal(`a${'b'.repeat(5000)}c`);
    come('d');
    gathering.abort('aborted');
    expect([text().at(-1), events]).to.deep.equal(['d', ['end', 'aborted']]);
  });

  it('A gathering catches what is thrown later', async () => {
    breaks = true;
    come('a');
    await Promise.resolve();
    await Promise.resolve();
    expect(errors.map(String)).to.deep.equal(['Error: no']);
  });
});
