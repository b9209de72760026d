import { expect } from 'chai';
import { Follower, type Outlet } from '../../policies/llm-cache/follower.ts';
import { ByteBudget } from '../../policies/shared/bytes/budget.ts';
import { HeldBytes } from '../../policies/shared/bytes/held-bytes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** An outlet that takes so many pieces before it asks to wait. */
class Slow implements Outlet {
  text = '';
  writes = 0;
  over: 'end' | 'break' | null = null;
  room: number;

  constructor(room = Infinity) {
    this.room = room;
  }

  write(chunk: Uint8Array): boolean {
    this.text += new TextDecoder().decode(chunk);
    this.writes++;
    return --this.room > 0;
  }

  end(): void {
    this.over = 'end';
  }

  fail(): void {
    this.over = 'break';
  }

  break(): void {
    this.over = 'break';
  }
}

describe('A follower', () => {
  let left: number;
  let budget: ByteBudget;
  let held: HeldBytes;
  beforeEach(() => {
    left = 0;
    budget = new ByteBudget(10_000_000);
    held = new HeldBytes({ maxBytes: 5_000_000, account: budget, reserve: null });
  });
  const follower = (maxBytes = 100) => new Follower(held.reader(), maxBytes, () => left++);
  /** More comes, of which those who read along are told. */
  const come = (text: string, ...followers: Follower[]) => {
    held.add(bytes(text));
    for (const one of followers) one.push();
  };
  const large = (letter: string) => letter.repeat(5000);

  it('A follower gets what has come so far at once, and the rest as it comes', () => {
    come('a');
    const one = follower();
    const outlet = new Slow();
    come('b', one);
    expect(outlet.text).to.equal('');
    one.attach(outlet);
    expect(outlet.text).to.equal('ab');
    come('c', one);
    expect(outlet.text).to.equal('abc');
    one.end();
    expect(outlet.over).to.equal('end');
  });

  it('A follower that asks to wait goes on where it was, and ends when it has all', () => {
    for (const letter of 'abc') come(large(letter));
    const one = follower(100_000);
    const outlet = new Slow(2);
    one.attach(outlet);
    expect(outlet.text).to.equal(large('a') + large('b'));
    come(large('d'), one);
    one.end();
    outlet.room = 1;
    one.resume();
    expect(outlet.text).to.equal('abc'.split('').map(large).join(''));
    expect(outlet.over).to.equal(null);
    outlet.room = Infinity;
    one.resume();
    expect(outlet.text).to.equal('abcd'.split('').map(large).join(''));
    expect(outlet.over).to.equal('end');
  });

  it('A follower that falls further behind than it may is broken off as too slow', () => {
    const one = follower(10);
    const outlet = new Slow(1);
    one.attach(outlet);
    come('1', one);
    come('0123456789', one);
    expect([outlet.over, one.tooSlow, left]).to.deep.equal([null, false, 0]);
    come('x', one);
    expect([outlet.over, one.tooSlow, left]).to.deep.equal(['break', true, 1]);
    come('y', one);
    one.end();
    expect([outlet.text, outlet.over]).to.deep.equal(['1', 'break']);
  });

  it('A follower that keeps up may read any amount', () => {
    const one = follower(10);
    const outlet = new Slow();
    one.attach(outlet);
    for (let count = 0; count < 100; count++) come('0123456789', one);
    one.end();
    expect([outlet.text.length, outlet.over]).to.deep.equal([1000, 'end']);
  });

  it('A follower of an answer that breaks off ends broken, and gets nothing more', () => {
    come('a');
    const one = follower();
    const outlet = new Slow(1);
    one.attach(outlet);
    come('b', one);
    one.break();
    outlet.room = Infinity;
    one.resume();
    expect([outlet.text, outlet.over]).to.deep.equal(['a', 'break']);
  });

  it('A follower that has left gets nothing more', () => {
    come('a');
    const one = follower();
    const outlet = new Slow();
    one.attach(outlet);
    one.leave();
    come('b', one);
    one.end();
    expect([outlet.text, outlet.over, left]).to.deep.equal(['a', null, 1]);
  });

  it('A follower that is slow gets what has come meanwhile in few pieces, however many it came in', () => {
    const slow = Array.from({ length: 50 }, () => follower(1_000_000));
    const outlets = slow.map(() => new Slow(1));
    for (const [at, one] of slow.entries()) one.attach(outlets[at] as Outlet);
    for (let count = 0; count < 200_000; count++) come('x', ...(count % 1000 === 0 ? slow : []));
    // One for all: what is held does not grow with those who wait for it.
    expect(budget.held).to.be.below(300_000);
    held.forget();
    expect(budget.held).to.be.above(150_000);
    for (const [at, one] of slow.entries()) {
      const outlet = outlets[at] as Slow;
      outlet.room = Infinity;
      const before = outlet.writes;
      one.resume();
      expect(outlet.text.length).to.equal(200_000);
      expect(outlet.writes - before).to.be.below(20);
      one.end();
    }
    expect(budget.held).to.equal(0);
  });

  it('A follower that is behind is broken off where there is no room for what it has not taken', () => {
    budget.max = 20_000;
    const [slow, quick] = [follower(1_000_000), follower(1_000_000)];
    const [slowly, quickly] = [new Slow(1), new Slow()];
    slow.attach(slowly);
    quick.attach(quickly);
    for (let count = 0; count < 10; count++) {
      come(large('x'), slow, quick);
      if (held.isOverdrawn) for (const one of [slow, quick]) one.breakIfBehind();
    }
    expect([slow.tooSlow, quick.tooSlow]).to.deep.equal([true, false]);
    quick.end();
    expect([quickly.text.length, quickly.over]).to.deep.equal([50_000, 'end']);
    slow.leave();
    expect(budget.held).to.equal(0);
  });
});
