import { expect } from 'chai';
import * as fc from 'fast-check';
import { Appraiser } from '../../../../policies/llm-cache/stores/bounded/appraiser.ts';
import { Expiry } from '../../../../policies/llm-cache/stores/bounded/expiry.ts';
import { Ghost } from '../../../../policies/llm-cache/stores/bounded/ghost.ts';
import { HashIndex } from '../../../../policies/llm-cache/stores/bounded/hash-index.ts';
import { Order } from '../../../../policies/llm-cache/stores/bounded/order.ts';
import { PagedItems, PagedNumbers } from '../../../../policies/llm-cache/stores/bounded/paged.ts';
import {
  hasPrice,
  logOfWorth,
  packWorth,
  usdOfWorth,
} from '../../../../policies/llm-cache/stores/bounded/worth.ts';
import { makeEntry } from '../../../support/entry.ts';

describe('The eviction order', () => {
  const drained = (order: Order) => {
    const gone: number[] = [];
    for (let next = order.next(); next !== -1; next = order.next()) {
      order.remove(next);
      gone.push(next);
    }
    return gone;
  };

  it('The eviction order has the least value first, and among equal values the oldest', () => {
    const order = new Order();
    for (const [entry, value] of [3, -2, 5, -2, 3].entries()) order.add(entry, value);
    expect(drained(order)).to.deep.equal([1, 3, 0, 4, 2]);
    expect(order.next()).to.equal(-1);
  });

  it('The eviction order lets unused entries go in time, whatever their value', () => {
    const order = new Order();
    order.add(0, 6);
    order.add(1, 0);
    let coming = 2;
    for (let next = order.next(); next !== 0; next = order.next()) {
      order.remove(next);
      order.add(coming++, 0);
      expect(coming).to.be.below(200);
    }
    expect(coming).to.be.above(32);
  });

  it('The eviction order takes values of any size', () => {
    const order = new Order();
    for (const [entry, value] of [1e9, -Infinity, 0, -1e9].entries()) order.add(entry, value);
    expect(drained(order)).to.deep.equal([1, 3, 2, 0]);
  });

  it('The eviction order agrees with a list that is sorted at each step', () => {
    const step = fc.record({
      entry: fc.nat(20),
      value: fc.integer({ min: -8, max: 8 }),
      kind: fc.constantFrom('add', 'remove', 'next'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const order = new Order();
        const model = new Map<number, { at: number; coming: number }>();
        let [clock, comings] = [0, 0];
        const least = () =>
          [...model].toSorted(([, a], [, b]) => a.at - b.at || a.coming - b.coming)[0];
        for (const { entry, value, kind } of steps) {
          if (kind === 'next') {
            const [first, standing] = least() ?? [-1, { at: clock }];
            // Entries that stand alike may go in either order.
            const next = order.next();
            expect(model.get(next)?.at ?? clock).to.equal(standing.at);
            expect(next === -1).to.equal(first === -1);
            clock = Math.max(clock, standing.at);
            continue;
          }
          if (model.delete(entry)) order.remove(entry);
          if (kind === 'remove') continue;
          order.add(entry, value);
          model.set(entry, { at: clock + 2 ** value, coming: comings++ });
        }
      }),
    );
  });
});

describe('The expiry order', () => {
  it('The expiry order returns entries as a sorted list would, after any changes', () => {
    const step = fc.record({ entry: fc.nat(30), at: fc.nat(50), isAdded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const expiry = new Expiry();
        const model = new Map<number, number>();
        for (const { entry, at, isAdded } of steps) {
          if (model.delete(entry)) expiry.remove(entry);
          if (!isAdded) continue;
          expiry.add(entry, at);
          model.set(entry, at);
        }
        for (let now = 0; now <= 50; now++) {
          for (let one = expiry.expired(now); one !== -1; one = expiry.expired(now)) {
            expect(model.get(one)).to.equal(now);
            expiry.remove(one);
            model.delete(one);
          }
        }
        expect(model.size).to.equal(0);
      }),
    );
  });
});

describe('The index by hash', () => {
  it('The hash index finds what a map finds, though many hashes collide', () => {
    const hash = fc.integer({ min: 0, max: 40 }).map((many) => many * 16);
    const step = fc.record({ hash, isAdded: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const index = new HashIndex(new Uint32Array(41));
        const model = new Map<number, number>();
        for (const { hash: one, isAdded } of steps) {
          const place = 40 - one / 16;
          index.remove(one);
          model.delete(one);
          if (isAdded) {
            index.add(one, place);
            model.set(one, place);
          }
          for (let at = 0; at <= 40; at++) {
            expect(index.find(at * 16)).to.equal(model.get(at * 16) ?? -1);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('The ghost of a store', () => {
  const remembered = (hash: number, more = {}) => ({
    hash,
    asked: 3,
    worth: packWorth({ usd: 0.5, isPriced: true }),
    freshUntil: 10_000,
    ...more,
  });

  it('The ghost returns once how often an entry was asked for', () => {
    const ghost = new Ghost(4);
    ghost.remember(remembered(1));
    expect([ghost.take(2), ghost.take(1), ghost.take(1)]).to.deep.equal([0, 3, 0]);
  });

  it('The ghost forgets the oldest, and remembers no more than it has room for', () => {
    const ghost = new Ghost(4);
    for (const hash of [1, 2, 3, 4, 5, 6]) ghost.remember(remembered(hash, { asked: hash }));
    expect([1, 2, 3, 4, 5, 6].map((hash) => ghost.take(hash))).to.deep.equal([0, 0, 3, 4, 5, 6]);
  });

  it('The ghost remembers only the last eviction of an entry', () => {
    const ghost = new Ghost(4);
    for (const asked of [1, 2, 3, 4, 5, 6]) ghost.remember(remembered(1, { asked }));
    expect([ghost.take(1), ghost.take(1)]).to.deep.equal([6, 0]);
  });

  it('The ghost counts requests for entries that would still be fresh, and their cost', () => {
    const ghost = new Ghost(4);
    ghost.remember(remembered(1));
    ghost.remember(remembered(2, { worth: packWorth({ usd: 7, isPriced: false }) }));
    ghost.askedFor(1, 5000);
    ghost.askedFor(2, 5000);
    ghost.askedFor(3, 5000);
    ghost.askedFor(1, 10_000);
    expect(ghost.missed.hits).to.equal(2);
    expect(ghost.missed.usd).to.be.closeTo(0.5, 0.001);
  });
});

describe('The worth of an entry', () => {
  it("An entry's worth is kept to a thousandth, and tells a price from an estimate", () => {
    for (const usd of [1e-9, 3e-6, 0.0123, 1, 250]) {
      for (const isPriced of [true, false]) {
        const packed = packWorth({ usd, isPriced });
        expect(packed).to.be.within(0, 0xffff);
        expect(usdOfWorth(packed) / usd).to.be.within(0.999, 1.001);
        expect(hasPrice(packed)).to.equal(isPriced);
      }
    }
  });

  it("An entry's worth is near zero for a free call, and has an upper bound", () => {
    expect(usdOfWorth(packWorth({ usd: 0, isPriced: true }))).to.equal(0);
    const most = packWorth({ usd: 1e30, isPriced: true });
    expect(most).to.be.at.most(0xffff);
    expect(logOfWorth(most)).to.be.above(20);
  });

  it("An entry's worth is its price, where that is known", () => {
    const appraiser = new Appraiser(() => 0.25);
    expect(appraiser.appraise(makeEntry(0), 3)).to.deep.equal({ usd: 0.25, isPriced: true });
  });

  it("An entry's worth is estimated by tokens where no price is known", () => {
    let cost: number | null = 16 * 1e-5;
    const appraiser = new Appraiser(() => cost);
    for (let times = 0; times < 2000; times++) appraiser.appraise(makeEntry(0), 0);
    cost = null;
    const { usd, isPriced } = appraiser.appraise(makeEntry(0), 30);
    expect(usd).to.be.closeTo(16 * 1e-5, 1e-8);
    expect(isPriced).to.equal(false);
  });

  it("An entry's worth is estimated by seconds where no tokens are known either", () => {
    let cost: number | null = 0.02;
    const appraiser = new Appraiser(() => cost);
    for (let times = 0; times < 2000; times++) appraiser.appraise(makeEntry(0), 4);
    cost = null;
    const { usd } = appraiser.appraise(makeEntry(0, { usage: null }), 8);
    expect(usd).to.be.closeTo(0.04, 1e-5);
  });

  it("An entry's worth is estimated where a price list fails or gives a wrong price", () => {
    const failing = new Appraiser(() => {
      throw new Error('no list');
    });
    expect(failing.appraise(makeEntry(0), 0).isPriced).to.equal(false);
    for (const cost of [NaN, -1, Infinity]) {
      const { usd, isPriced } = new Appraiser(() => cost).appraise(makeEntry(0), 0);
      expect(isPriced).to.equal(false);
      expect(usd).to.be.within(1e-9, 1);
    }
  });

  it("A copy of another store's entry is worth the way to that store, not a call", () => {
    const appraiser = new Appraiser(() => 1);
    const copy = appraiser.appraiseCopy();
    expect(copy.usd).to.be.below(appraiser.appraise(makeEntry(0), 1).usd / 1000);
    expect(copy.isPriced).to.equal(false);
  });
});

describe('Paged numbers and items', () => {
  it('Paged numbers and items are found where they were set, and nowhere else', () => {
    const numbers = new PagedNumbers(Uint16Array);
    const items = new PagedItems<string>();
    for (const at of [5000, 0, 1023, 1024]) {
      numbers.set(at, at);
      items.set(at, `item ${at}`);
    }
    expect([0, 1023, 1024, 5000, 5001, 1e6].map((at) => numbers.get(at))).to.deep.equal([
      0, 1023, 1024, 5000, 0, 0,
    ]);
    expect([0, 1023, 5001, 1e6].map((at) => items.get(at))).to.deep.equal([
      'item 0',
      'item 1023',
      undefined,
      undefined,
    ]);
  });
});
