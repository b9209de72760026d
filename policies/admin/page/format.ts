const integer = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, {
  notation: 'compact',
  minimumSignificantDigits: 2,
  maximumSignificantDigits: 3,
});
const percentage = new Intl.NumberFormat(undefined, {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const wholePercentage = new Intl.NumberFormat(undefined, { style: 'percent' });
const money = { style: 'currency', currency: 'USD', currencyDisplay: 'narrowSymbol' } as const;
const dollars = new Intl.NumberFormat(undefined, money);
const cents = new Intl.NumberFormat(undefined, {
  ...money,
  minimumSignificantDigits: 2,
  maximumSignificantDigits: 3,
});
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

export const count = (value: number) => integer.format(value);

/** Shortens large numbers, as in 1.24M; small ones stay exact. */
export const compact = (value: number) =>
  Math.abs(value) < 100_000 ? integer.format(value) : short.format(value);

/** Formats a percentage without decimals, for axes. */
export const wholePercent = (ratio: number) => wholePercentage.format(ratio);

export const percent = (ratio: number) => percentage.format(ratio);

/** Shows fractions of a cent, since that is what a single request costs. */
export const cost = (usd: number) =>
  usd === 0 || Math.abs(usd) >= 1 ? dollars.format(usd) : cents.format(usd);

export const rate = (perSecond: number) => oneDigit.format(perSecond);

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytes(value: number): string {
  let size = value;
  let at = 0;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at++;
  }
  return `${at === 0 ? integer.format(size) : oneDigit.format(size)} ${units[at]}`;
}

/** Formats a duration with its two largest units, as in “3 d 4 h”. */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const parts = [
    [Math.floor(total / 86_400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'min'],
    [total % 60, 's'],
  ] as const;
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

const dayMonth = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  timeZone: 'UTC',
});

/** Formats a day in UTC, as in the ledger. */
export const dayName = (seconds: number) => dayMonth.format(seconds * 1000);

const fullDay = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  timeZone: 'UTC',
});
const monthYear = new Intl.DateTimeFormat(undefined, {
  month: 'long',
  year: 'numeric',
  timeZone: 'UTC',
});

export const monthName = (from: string) => monthYear.format(Date.parse(from));

/** Formats a range of days, as in “Nov 1 – 30, 2026”. */
export function daysName({ from, to }: { readonly from: string; readonly to: string }): string {
  return from === to
    ? fullDay.format(Date.parse(from))
    : fullDay.formatRange(Date.parse(from), Date.parse(to));
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});
const clockSeconds = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });

/** Formats a time in the viewer's time zone, as in “07:48”. */
export const timeOfDay = (ms: number) => clock.format(ms);
export const timeWithSeconds = (ms: number) => clockSeconds.format(ms);

const moment = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'short',
  hourCycle: 'h23',
});

export const momentName = (iso: string) => moment.format(Date.parse(iso));

/** Formats a latency, as in “12 ms” or “1.2 s”. */
export const latency = (ms: number) =>
  ms < 1000 ? `${integer.format(ms)} ms` : `${oneDigit.format(ms / 1000)} s`;

export const ratio = (part: number, all: number) => (all === 0 ? null : part / all);

export const shortKey = (key: string) => (key.length > 14 ? `…${key.slice(-10)}` : key);
