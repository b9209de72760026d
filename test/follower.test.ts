import { expect } from 'chai';
import { Follower, type Outlet } from '../policies/llm-cache/follower.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** An outlet that takes so many chunks before it asks to wait. */
class Slow implements Outlet {
  text = '';
  over: 'end' | 'break' | null = null;
  room: number;

  constructor(room = Infinity) {
    this.room = room;
  }

  write(chunk: Uint8Array): boolean {
    this.text += new TextDecoder().decode(chunk);
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

describe('a follower', () => {
  let left: number;
  const follower = (soFar: string[], maxBytes = 100) =>
    new Follower(soFar.map(bytes), maxBytes, () => left++);
  beforeEach(() => {
    left = 0;
  });

  it('gets what has come so far at once, and the rest as it comes', () => {
    const one = follower(['a', 'b']);
    const outlet = new Slow();
    one.push(bytes('c'));
    one.attach(outlet);
    expect(outlet.text).to.equal('abc');
    one.push(bytes('d'));
    expect(outlet.text).to.equal('abcd');
    one.end();
    expect(outlet.over).to.equal('end');
  });

  it('that asks to wait goes on where it was, and ends when it has all', () => {
    const one = follower(['a', 'b', 'c']);
    const outlet = new Slow(2);
    one.attach(outlet);
    expect(outlet.text).to.equal('ab');
    one.push(bytes('d'));
    one.end();
    expect([outlet.text, outlet.over]).to.deep.equal(['ab', null]);
    outlet.room = 1;
    one.resume();
    expect([outlet.text, outlet.over]).to.deep.equal(['abc', null]);
    outlet.room = Infinity;
    one.resume();
    expect([outlet.text, outlet.over]).to.deep.equal(['abcd', 'end']);
  });

  it('that falls further behind than it may is broken off, and says why', () => {
    const one = follower([], 10);
    const outlet = new Slow(1);
    one.attach(outlet);
    one.push(bytes('1'));
    one.push(bytes('0123456789'));
    expect([outlet.over, one.tooSlow, left]).to.deep.equal([null, false, 0]);
    one.push(bytes('x'));
    expect([outlet.over, one.tooSlow, left]).to.deep.equal(['break', true, 1]);
    one.push(bytes('y'));
    one.end();
    expect([outlet.text, outlet.over]).to.deep.equal(['1', 'break']);
  });

  it('that keeps up may read any amount', () => {
    const one = follower([], 10);
    const outlet = new Slow();
    one.attach(outlet);
    for (let count = 0; count < 100; count++) one.push(bytes('0123456789'));
    one.end();
    expect([outlet.text.length, outlet.over]).to.deep.equal([1000, 'end']);
  });

  it('of an answer that breaks off ends broken, and gets nothing more', () => {
    const one = follower(['a']);
    const outlet = new Slow(1);
    one.attach(outlet);
    one.push(bytes('b'));
    one.break();
    outlet.room = Infinity;
    one.resume();
    expect([outlet.text, outlet.over]).to.deep.equal(['a', 'break']);
  });

  it('that has left gets nothing more', () => {
    const one = follower(['a']);
    const outlet = new Slow();
    one.attach(outlet);
    one.leave();
    one.push(bytes('b'));
    one.end();
    expect([outlet.text, outlet.over, left]).to.deep.equal(['a', null, 1]);
  });
});
