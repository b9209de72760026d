import { expect } from 'chai';
import * as fc from 'fast-check';
import { SingleFlight } from '../../../policies/llm-cache/stores/single-flight.ts';
import { StreamBuffer } from '../../../policies/llm-cache/stores/stream-buffer.ts';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { SharedBodies } from '../../../policies/shared/bytes/shared-bodies.ts';

describe('Shared bodies', () => {
  it('Shared bodies are charged once each, from their first reader to their last', () => {
    const budget = new ByteBudget(250);
    const bodies = new SharedBodies(budget);
    const [one, two] = [{ body: new Uint8Array(100) }, { body: new Uint8Array(100) }];
    // Another view of the same memory.
    const again = { body: one.body.subarray(0) };
    for (const reader of [one, one, again]) expect(bodies.hold(reader)).to.equal(true);
    expect(budget.held).to.equal(100);
    expect(bodies.hold(two)).to.equal(true);
    expect(bodies.hold({ body: new Uint8Array(100) })).to.equal(false);
    expect(budget.held).to.equal(200);
    for (const reader of [one, again]) bodies.release(reader);
    expect(budget.held).to.equal(200);
    bodies.release(one);
    bodies.release(two);
    expect(budget.held).to.equal(0);
    bodies.release(one);
    expect(budget.held).to.equal(0);
  });

  it('Shared bodies are charged while they are read, and not read where there is no room', async () => {
    const budget = new ByteBudget(100);
    const bodies = new SharedBodies(budget);
    expect(await bodies.during(60, async () => budget.held)).to.equal(60);
    await bodies.during(60, () => Promise.reject(new Error('no'))).catch(() => {});
    expect(await bodies.during(101, async () => expect.fail('it was read'))).to.equal(null);
    expect(budget.held).to.equal(0);
  });
});

describe('A single flight', () => {
  it('A single flight gives concurrent callers one answer, and calls again afterwards or after a change', async () => {
    const flight = new SingleFlight<number>();
    let asked = 0;
    const ask = async () => ++asked;
    expect(await Promise.all([flight.run('a', ask), flight.run('a', ask)])).to.deep.equal([1, 1]);
    expect(await flight.run('a', ask)).to.equal(2);
    const before = flight.run('a', ask);
    flight.forget('a');
    expect(await Promise.all([before, flight.run('a', ask), flight.run('b', ask)])).to.deep.equal([
      3, 4, 5,
    ]);
    const failing = flight.run('a', () => Promise.reject(new Error('no')));
    expect(await failing.catch(() => 'failed')).to.equal('failed');
    expect(await flight.run('a', ask)).to.equal(6);
  });
});

describe('A stream buffer', () => {
  it('A stream buffer returns all bytes in order, in few pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 50 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 7 }),
        (pieces, maxPiece, takeEach) => {
          const buffer = new StreamBuffer(maxPiece);
          const taken: Buffer[] = [];
          const all = Buffer.concat(pieces);
          for (const [at, piece] of pieces.entries()) {
            buffer.push(piece);
            piece.fill(0);
            if (at % takeEach === 0) taken.push(buffer.take());
          }
          while (buffer.length > 0) taken.push(buffer.take());
          expect(Buffer.concat(taken).equals(all)).to.equal(true);
          for (const { length } of taken) expect(length).to.be.at.most(maxPiece);
        },
      ),
    );
  });

  it('A stream buffer joins a thousand single bytes', () => {
    const buffer = new StreamBuffer(600);
    for (let at = 0; at < 1000; at++) buffer.push(Uint8Array.of(at));
    expect([buffer.take().length, buffer.take().length, buffer.length]).to.deep.equal([
      600, 400, 0,
    ]);
    buffer.push(Uint8Array.of(1));
    buffer.clear();
    expect([buffer.take().length, buffer.length]).to.deep.equal([0, 0]);
  });
});
