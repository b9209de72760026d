import { expect } from 'chai';
import { csvOf } from '../../policies/admin/csv.ts';
import { previousPeriod, readPeriod } from '../../policies/admin/period.ts';

describe('The period of a usage report', () => {
  it('A usage report covers a calendar month of any length', () => {
    const month = (text: string) => readPeriod({ month: text });
    expect(month('2026-11')).to.deep.equal({ from: '2026-11-01', to: '2026-11-30' });
    expect(month('2028-02')).to.deep.equal({ from: '2028-02-01', to: '2028-02-29' });
    expect(month('2026-12')).to.deep.equal({ from: '2026-12-01', to: '2026-12-31' });
  });

  it('A usage report refuses what is not a month, and two periods at once', () => {
    for (const month of ['2026-13', '2026-1', '26-01', 'November', '']) {
      expect(() => readPeriod({ month })).to.throw('"month" must be a month, YYYY-MM');
    }
    expect(() => readPeriod({ month: '2026-11', from: '2026-11-01' })).to.throw('combined');
    expect(() => readPeriod({ from: '2026-11-02', to: '2026-11-01' })).to.throw('later');
  });

  const before = (from: string, to: string | undefined, today: string) =>
    Object.values(previousPeriod(to === undefined ? { from } : { from, to }, today)).join(' ');

  it('A usage report compares a month with the month before, shorter or in another year', () => {
    expect(before('2026-11-01', '2026-11-30', '2027-01-15')).to.equal('2026-10-01 2026-10-31');
    expect(before('2026-03-01', '2026-03-31', '2027-01-15')).to.equal('2026-02-01 2026-02-28');
    expect(before('2027-01-01', '2027-01-31', '2027-02-01')).to.equal('2026-12-01 2026-12-31');
  });

  it('A usage report compares a running month with as many days of the month before', () => {
    expect(before('2026-11-01', '2026-11-30', '2026-11-12')).to.equal('2026-10-01 2026-10-12');
    expect(before('2026-03-01', '2026-03-31', '2026-03-30')).to.equal('2026-02-01 2026-02-28');
    expect(before('2026-11-01', '2026-11-30', '2026-11-30')).to.equal('2026-10-01 2026-10-31');
  });

  it('A usage report compares any other days with as many days before them', () => {
    expect(before('2026-11-08', '2026-11-14', '2026-11-20')).to.equal('2026-11-01 2026-11-07');
    expect(before('2026-11-14', undefined, '2026-11-20')).to.equal('2026-11-07 2026-11-13');
    expect(before('2026-11-14', '2026-12-31', '2026-11-20')).to.equal('2026-11-07 2026-11-13');
    expect(() => previousPeriod({ to: '2026-11-14' }, '2026-11-20')).to.throw('"compare" needs');
  });
});

describe('A usage report as CSV', () => {
  const line = (...cells: Parameters<typeof csvOf>[1][number]) =>
    csvOf([], [cells]).replace('\uFEFF', '').slice(2, -2);

  it('A CSV report quotes commas, quotes and line ends, and ends lines with CRLF', () => {
    expect(csvOf(['a', 'b'], [['x', 1]])).to.equal('a,b\r\nx,1\r\n');
    expect(line('a,b', 'say "x"', 'two\nlines', ' padded')).to.equal(
      '"a,b","say ""x""","two\nlines"," padded"',
    );
  });

  it('A CSV report lets no name become a formula', () => {
    for (const text of [
      '=1+1',
      '+1',
      '-1',
      '@SUM(A1)',
      '＝1',
      '\t=1',
      '  =1',
      '\r=1',
      '\n=1',
      '\0=1',
      '\u200b=1',
    ]) {
      expect(line(text).replace(/^"/, ''), JSON.stringify(text)).to.match(/^'/);
    }
    expect(line('=HYPERLINK("http://x","y")')).to.equal(`"'=HYPERLINK(""http://x"",""y"")"`);
    expect(line('gpt-4o', 'a=b', 'x@y')).to.equal('gpt-4o,a=b,x@y');
  });

  it('A CSV report writes numbers without an exponent, and nothing for an unknown', () => {
    expect(line(0.00000003, 1e-12, 12.5, 0, null)).to.equal('0.00000003,0.000000000001,12.5,0,');
  });

  it('A CSV report begins with a byte order mark where it has letters outside ASCII', () => {
    expect(csvOf(['a'], [['Zoë']])).to.equal('\uFEFFa\r\nZoë\r\n');
  });
});
