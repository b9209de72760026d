import { expect } from 'chai';
import { Gathering } from '../../../policies/shared/bytes/gathering.ts';

describe('a body whose pieces are gathered', () => {
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

  it('is handed on in few pieces where many small ones come in one go', async () => {
    const all = Array.from({ length: 100_000 }, (_, at) => String(at % 10)).join('');
    for (const one of all) come(one);
    await Promise.resolve();
    expect(text() === all).to.equal(true);
    expect(pieces.length).to.be.below(5);
  });

  it('is handed on as it comes where it comes piece by piece', async () => {
    for (const one of ['data: 1\n\n', 'data: 2\n\n']) {
      come(one);
      await Promise.resolve();
    }
    expect(pieces.map(String).length).to.equal(2);
    expect(text()).to.equal('data: 1\n\ndata: 2\n\n');
  });

  it('is handed on at once, and not copied, where a piece is large', () => {
    const large = Buffer.alloc(10_000);
    gathering.chunk(large);
    expect(pieces).to.deep.equal([large]);
    expect(pieces[0]?.buffer).to.equal(large.buffer);
  });

  it('keeps its order, and is whole when it ends or breaks off', () => {
    come('a');
    come('b'.repeat(5000));
    come('c');
    gathering.end();
    expect(text()).to.equal(`a${'b'.repeat(5000)}c`);
    come('d');
    gathering.abort('aborted');
    expect([text().at(-1), events]).to.deep.equal(['d', ['end', 'aborted']]);
  });

  it('lets nothing out that is thrown later', async () => {
    breaks = true;
    come('a');
    await Promise.resolve();
    await Promise.resolve();
    expect(errors.map(String)).to.deep.equal(['Error: no']);
  });
});
