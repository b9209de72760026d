import { expect } from 'chai';
import { FaultLog } from '../../policies/shared/faults.ts';

describe('The fault log', () => {
  let now: number;
  let lines: string[];
  let faults: FaultLog;

  beforeEach(() => {
    now = 1_000_000;
    lines = [];
    const unexpected = () => expect.fail('a fault is an error');
    const log = { error: (line: string) => lines.push(line), warn: unexpected, info: unexpected };
    faults = new FaultLog(log, () => now);
  });

  function report(error: unknown): string {
    lines = [];
    now += 60_000;
    faults.report('a place', error);
    expect(lines).to.have.length(1);
    return lines[0] ?? '';
  }

  it('The fault log logs a fault at once', () => {
    faults.report('the store failed', new TypeError('x'));
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/^the store failed: TypeError at .*faults\.test\.ts:\d+/);
  });

  it('The fault log logs one place once a minute, with how often it came', () => {
    for (let count = 0; count < 5; count++) faults.report('a place', new Error('x'));
    now += 59_999;
    faults.report('a place', new Error('x'));
    expect(lines).to.have.length(1);
    now += 1;
    faults.report('a place', new Error('x'));
    expect(lines).to.have.length(2);
    expect(lines[1]).to.contain('(and 5 more since the last report)');
    now += 60_000;
    faults.report('a place', new Error('x'));
    expect(lines[2]).to.not.contain('more');
  });

  it('The fault log lets no place silence another', () => {
    faults.report('a place', new Error('x'));
    faults.report('another', new Error('x'));
    expect(lines.map((line) => line.split(':')[0])).to.deep.equal(['a place', 'another']);
  });

  it('The fault log tells the code of an error that has one', () => {
    const error = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    expect(report(error)).to.match(/^a place: Error ECONNREFUSED at /);
  });

  it('The fault log copes with a missing stack and a missing error', () => {
    const bare = new Error('x');
    delete bare.stack;
    expect(report(bare)).to.equal('a place: Error');
    for (const thrown of [undefined, null, 'PRIVATE', { message: 'PRIVATE' }]) {
      expect(report(thrown)).to.equal('a place: an unknown error');
    }
  });

  it("The fault log never tells an error's message, which may quote a body", () => {
    for (const message of ['PRIVATE', 'first\n    at PRIVATE', '\n at PRIVATE (file.ts:1:1)']) {
      expect(report(new Error(message)), JSON.stringify(message)).to.not.contain('PRIVATE');
    }
    try {
      JSON.parse('{"a":\n at PRIVATE');
    } catch (error) {
      expect(report(error)).to.not.contain('PRIVATE');
    }
  });
});
