import { expect } from 'chai';
import { inTurns, nextTurn, nowOrInTurns } from '../../policies/shared/turns.ts';

describe('Long work in turns', () => {
  const { now } = performance;
  /** What the clock shows, in milliseconds: work takes as long as it says. */
  let time = now.call(performance);

  before(() => {
    performance.now = () => time;
  });
  beforeEach(() => {
    // Whatever had a turn before is long over.
    time += 1000;
  });
  after(() => {
    performance.now = now;
  });

  /** Resolves when others have had a turn, and some time has passed. */
  async function laterTurn(): Promise<void> {
    await nextTurn();
    time += 2;
  }

  it('Long work leaves other work a turn between its own', async () => {
    let others = 0;
    const state = { isDone: false };
    const work = inTurns(() => {
      time += 5;
      return others >= 3;
    }).then(() => {
      state.isDone = true;
    });
    while (!state.isDone) {
      await laterTurn();
      others++;
    }
    await work;
    expect(others).to.be.at.least(3);
  });

  it('Long work is done one job after the other', async () => {
    let running = 0;
    const most: number[] = [];
    const work = () => {
      let steps = 0;
      return inTurns(() => {
        if (steps === 0) running++;
        most.push(running);
        time += 5;
        const done = ++steps === 4;
        if (done) running--;
        return done;
      });
    };
    const all = Promise.all([work(), work(), work()]);
    while (most.length < 12) await laterTurn();
    await all;
    expect(Math.max(...most)).to.equal(1);
    expect(most.length).to.equal(12);
  });

  it('Long work that fails lets the next go on', async () => {
    const failed = inTurns(() => {
      throw new Error('no');
    });
    const next = inTurns(() => true);
    expect(String(await failed.catch((error: unknown) => error))).to.equal('Error: no');
    time += 2;
    await next;
  });

  it('Long work begins at once where it is its turn, and waits where other work has begun', async () => {
    let steps = 0;
    const long = nowOrInTurns(() => {
      time += 5;
      return ++steps === 2;
    });
    expect(steps).to.equal(1);
    let isOtherDone = false;
    const other = nowOrInTurns(() => (isOtherDone = true));
    expect(isOtherDone).to.equal(false);
    time += 2;
    await long;
    expect(steps).to.equal(2);
    expect(isOtherDone).to.equal(false);
    time += 2;
    await other;
    expect(isOtherDone).to.equal(true);
  });
});
