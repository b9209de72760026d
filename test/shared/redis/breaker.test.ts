import { expect } from 'chai';
import { Breaker } from '../../../policies/shared/redis/breaker.ts';
import { useFakeClock } from '../../support/fake-clock.ts';

describe('The circuit breaker', () => {
  let changes: (readonly [boolean, string])[];
  let probes: number;
  let isBack: boolean;
  let breaker: Breaker;
  const clock = useFakeClock();

  beforeEach(() => {
    changes = [];
    probes = 0;
    isBack = false;
    breaker = new Breaker(
      async () => {
        probes++;
        if (!isBack) throw new Error('no answer');
      },
      (...change) => changes.push(change),
    );
  });
  afterEach(() => breaker.close());

  const fail = (times: number) => {
    for (let count = 0; count < times; count++) breaker.failed(`reason ${count}`);
  };

  it('The breaker opens at the third failure in a row, and reports that once', () => {
    fail(2);
    breaker.succeeded();
    fail(2);
    expect(breaker.isOpen).to.equal(false);
    breaker.failed('the last');
    expect(breaker.isOpen).to.equal(true);
    fail(1000);
    expect(changes).to.deep.equal([[true, 'the last']]);
  });

  it('The breaker probes once a second while it is open, and closes at an answer', async () => {
    fail(3);
    expect(probes).to.equal(0);
    await clock().tickAsync(2999);
    expect(probes).to.equal(2);
    expect(breaker.isOpen).to.equal(true);
    isBack = true;
    await clock().tickAsync(1);
    expect(breaker.isOpen).to.equal(false);
    expect(changes.map(([open]) => open)).to.deep.equal([true, false]);
    fail(2);
    expect(breaker.isOpen).to.equal(false);
  });

  it('The breaker closes at any success, and probes no more', async () => {
    fail(3);
    breaker.succeeded();
    breaker.succeeded();
    expect(breaker.isOpen).to.equal(false);
    expect(changes.length).to.equal(2);
    await clock().tickAsync(60_000);
    expect(probes).to.equal(0);
  });

  it('The breaker starts over when it is closed for good, without a report', () => {
    fail(3);
    breaker.close();
    expect(breaker.isOpen).to.equal(false);
    expect(changes.length).to.equal(1);
    fail(2);
    expect(breaker.isOpen).to.equal(false);
  });
});
