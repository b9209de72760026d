import { expect } from 'chai';
import { inTurns, nextTurn, nowOrInTurns } from '../../policies/shared/turns.ts';

describe('Long work in turns', () => {
  it('Long work leaves other work a turn between its own', async () => {
    let others = 0;
    const state = { isDone: false };
    const work = inTurns(() => {
      const until = performance.now() + 5;
      while (performance.now() < until);
      return others >= 3;
    }).then(() => {
      state.isDone = true;
    });
    while (!state.isDone) {
      await nextTurn();
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
        const until = performance.now() + 5;
        while (performance.now() < until);
        const done = ++steps === 4;
        if (done) running--;
        return done;
      });
    };
    await Promise.all([work(), work(), work()]);
    expect(Math.max(...most)).to.equal(1);
    expect(most.length).to.equal(12);
  });

  it('Long work that fails lets the next go on', async () => {
    const failed = inTurns(() => {
      throw new Error('no');
    });
    const next = inTurns(() => true);
    expect(String(await failed.catch((error: unknown) => error))).to.equal('Error: no');
    await next;
  });

  it('Long work begins at once where it is its turn, and waits where other work has begun', async () => {
    const beganAt = performance.now();
    while (nowOrInTurns(() => true) !== null) await nextTurn();
    // The pause after that turn is shorter than the turn.
    const endedAt = performance.now();
    while (performance.now() - endedAt < endedAt - beganAt);
    let steps = 0;
    const long = nowOrInTurns(() => {
      const until = performance.now() + 5;
      while (performance.now() < until);
      return ++steps === 2;
    });
    expect(steps).to.equal(1);
    let isOtherDone = false;
    const other = nowOrInTurns(() => (isOtherDone = true));
    expect(isOtherDone).to.equal(false);
    await long;
    expect(steps).to.equal(2);
    await other;
    expect(isOtherDone).to.equal(true);
  });
});
