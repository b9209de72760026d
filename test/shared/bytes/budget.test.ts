import { expect } from 'chai';
import { budgetsOf, ByteBudget, ClientAccount } from '../../../policies/shared/bytes/budget.ts';

/** Takes as much as it can get, in pieces of so many bytes. */
function takeAll(account: ClientAccount, piece = 1000): number {
  let taken = 0;
  while (account.take(piece)) taken += piece;
  return taken;
}

describe('A byte budget', () => {
  it('A byte budget gives no more than it has, and is whole again when all is given back', () => {
    const budget = new ByteBudget(10);
    expect([budget.take(6), budget.take(5), budget.take(4)]).to.deep.equal([true, false, true]);
    budget.give(10);
    expect([budget.held, budget.take(10)]).to.deep.equal([0, true]);
  });

  it('A byte budget gives one client two thirds, and every further one less', () => {
    const budget = new ByteBudget(900_000);
    const taken = ['a', 'b', 'c'].map((name) => takeAll(new ClientAccount(budget, [name])));
    expect(taken).to.deep.equal([600_000, 200_000, 66_000]);
  });

  it('A byte budget has room for a small body however many clients take all they can', () => {
    const budget = new ByteBudget(200_000_000);
    for (let count = 0; count < 200; count++) {
      const account = new ClientAccount(budget, [{}]);
      for (let taken = 0; taken < 10_000_000 && account.take(100_000); taken += 100_000);
    }
    expect(new ClientAccount(budget, [{}]).hasRoom(65_536)).to.equal(true);
  });

  it('A byte budget knows a client by its connection and its name, whichever holds more', () => {
    const budget = new ByteBudget(900_000);
    const connection = {};
    takeAll(new ClientAccount(budget, [connection, 'a']));
    expect(new ClientAccount(budget, [connection, 'b']).take(10_000)).to.equal(false);
    expect(new ClientAccount(budget, [{}, 'a']).take(10_000)).to.equal(false);
    expect(new ClientAccount(budget, [{}, 'b']).take(10_000)).to.equal(true);
  });

  it('A byte budget forgets a client that holds nothing', () => {
    const budget = new ByteBudget(900_000);
    const account = new ClientAccount(budget, ['a']);
    account.take(10);
    expect(budget.heldBy('a')).to.equal(10);
    account.give(10);
    expect([budget.heldBy('a'), budget.held]).to.deep.equal([0, 0]);
  });

  it('A byte budget is divided into one for the bodies and a reserve for the records', () => {
    const { bodies, reserve } = budgetsOf(800);
    expect([bodies.max, reserve.max]).to.deep.equal([700, 100]);
  });
});
