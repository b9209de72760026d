import { expect } from 'chai';
import * as fc from 'fast-check';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { type SlabReader, Slabs } from '../../../policies/shared/bytes/slabs.ts';

const bytes = (length: number, fill = 120) => new Uint8Array(length).fill(fill);

describe('Slabs', () => {
  let budget: ByteBudget;
  beforeEach(() => {
    budget = new ByteBudget(1 << 24);
  });

  it('Slabs charge the memory they use, at most about twice what came', () => {
    const slabs = new Slabs(budget);
    for (let count = 0; count < 100_000; count++) slabs.add(bytes(1));
    expect(slabs.size).to.equal(100_000);
    expect(slabs.chunks.length).to.be.below(20);
    const memory = slabs.chunks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    expect(memory).to.equal(budget.held).and.to.be.below(200_000);
    slabs.release();
    expect(budget.held).to.equal(0);
  });

  it('Slabs charge no more than the expected size where it is known', () => {
    const slabs = new Slabs(budget, 1000);
    for (let count = 0; count < 1000; count++) slabs.add(bytes(1));
    expect(budget.held).to.equal(1000);
  });

  it('Slabs hold little for small pieces among large ones', () => {
    const slabs = new Slabs(budget);
    for (let count = 0; count < 100; count++) {
      slabs.add(bytes(5000));
      slabs.add(bytes(1));
    }
    expect(budget.held).to.be.below(600_000);
  });

  it('Slabs use the last byte that there is room for', () => {
    budget.max = 1000;
    const slabs = new Slabs(budget);
    for (let count = 0; count < 1000; count++)
      expect(slabs.add(bytes(1)), `${count}`).to.equal(true);
    expect(slabs.add(bytes(1))).to.equal(false);
    expect([slabs.size, slabs.join().length]).to.deep.equal([1000, 1000]);
  });

  it('Slabs can be moved to another budget that has room', () => {
    const slabs = new Slabs(budget);
    slabs.add(bytes(5000));
    const [small, other] = [new ByteBudget(4000), new ByteBudget(5000)];
    expect([slabs.move(small), slabs.move(other)]).to.deep.equal([false, true]);
    expect([budget.held, other.held]).to.deep.equal([0, 5000]);
    slabs.release();
    expect(other.held).to.equal(0);
  });

  it('Slabs become one piece without another copy', () => {
    const slabs = new Slabs(budget);
    for (let count = 0; count < 10; count++) slabs.add(bytes(10_000, count));
    const joined = slabs.joined();
    expect([joined.length, budget.held]).to.deep.equal([100_000, 100_000]);
    expect(slabs.chunks).to.deep.equal([joined]);
    slabs.release();
    expect(budget.held).to.equal(0);
  });

  it('Slabs give every reader all that comes, and hold what the slowest has not taken', () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 0, max: 9000 }) }),
      fc.record({ read: fc.nat(3), all: fc.boolean() }),
      fc.record({ close: fc.nat(3) }),
      fc.constant({ open: true }),
      fc.constant({ release: true }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const account = new ByteBudget(1 << 24);
        const slabs = new Slabs(account);
        const readers: { reader: SlabReader; got: number[]; from: number; isOpen: boolean }[] = [];
        const all: number[] = [];
        for (const one of steps) {
          if ('add' in one) {
            const piece = bytes(one.add, all.length % 251);
            slabs.add(piece);
            // What nobody keeps or reads counts for nobody.
            if (slabs.isKept || readers.some(({ isOpen }) => isOpen)) all.push(...piece);
          } else if ('open' in one && readers.length < 4) {
            const from = slabs.isKept ? 0 : all.length;
            readers.push({ reader: slabs.reader(), got: [], from, isOpen: true });
          } else if ('read' in one) {
            const found = readers[one.read];
            let next = found?.isOpen ? found.reader.next() : null;
            for (; next; next = one.all ? (found?.reader.next() ?? null) : null) {
              found?.got.push(...next);
            }
          } else if ('close' in one) {
            const found = readers[one.close];
            found?.reader.close();
            if (found) found.isOpen = false;
          } else if ('release' in one) slabs.release();
        }
        for (const { reader, got, from, isOpen } of readers) {
          expect(reader.behind).to.equal(isOpen ? all.length - from - got.length : 0);
          for (let next = reader.next(); next; next = reader.next()) got.push(...next);
          if (isOpen) expect(got).to.deep.equal(all.slice(from));
          reader.close();
        }
        slabs.release();
        expect(account.held).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });
});
