import { expect } from 'chai';
import { MemoryLedger } from '../../../policies/llm-usage/ledgers/memory.ts';
import { SteadyClock } from '../../../policies/llm-usage/ledgers/steady-clock.ts';
import { usage } from '../../support/ledger-contract.ts';

const hour = 3_600_000;
const day = 24 * hour;

/** A machine with a clock that can be set, and a monotonic one. */
class Machine {
  set = Date.parse('2026-01-31T12:00:00Z');
  running = 5000;
  readonly clocks = { now: () => this.set, running: () => this.running };

  pass(ms: number): void {
    this.set += ms;
    this.running += ms;
  }
}

describe('The steady clock', () => {
  let machine: Machine;
  let clock: SteadyClock;
  const off = () => clock.now() - machine.set;
  beforeEach(() => {
    machine = new Machine();
    clock = new SteadyClock(machine.clocks.now, machine.clocks.running);
  });

  it("The steady clock is the machine's, corrections of up to an hour included", () => {
    machine.pass(30 * day);
    expect(off()).to.equal(0);
    for (const correction of [400, -400, hour, -hour]) {
      machine.set += correction;
      expect(off()).to.equal(0);
    }
  });

  for (const leap of [200 * day, -200 * day, 2 * hour, -2 * hour]) {
    it(`The steady clock ignores a leap of ${leap / hour} hours until it has lasted an hour`, () => {
      machine.set += leap;
      expect(off()).to.equal(-leap);
      machine.pass(hour - 1);
      expect(off()).to.equal(-leap);
      machine.pass(1);
      expect(off()).to.equal(0);
      machine.pass(1000);
      expect(off()).to.equal(0);
    });

    it(`The steady clock forgets a leap of ${leap / hour} hours that is taken back`, () => {
      machine.set += leap;
      clock.now();
      machine.pass(hour / 2);
      machine.set -= leap;
      expect(off()).to.equal(0);
      machine.set += leap;
      machine.pass(hour - 1);
      expect(off()).to.equal(-leap);
    });
  }
});

describe('The memory ledger', () => {
  for (const leap of [200 * day, -200 * day]) {
    it(`The memory ledger loses and misdates nothing when the clock leaps ${leap / day} days and back`, async () => {
      const machine = new Machine();
      const ledger = new MemoryLedger({ retentionDays: 90, maxGroups: 100, ...machine.clocks });
      ledger.record(usage());
      machine.pass(day);
      ledger.record(usage());
      machine.set += leap;
      ledger.record(usage());
      await ledger.query({ groupBy: [] });
      machine.pass(60_000);
      machine.set -= leap;
      ledger.record(usage());
      const { rows } = await ledger.query({ groupBy: ['day'] });
      expect(rows.map((row) => [row.day, row.requests])).to.deep.equal([
        ['2026-01-31', 1],
        ['2026-02-01', 3],
      ]);
    });
  }
});
