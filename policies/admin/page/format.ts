const whole = new Intl.NumberFormat();
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

export const count = (value: number) => whole.format(value);

/** For what grows large: 1.24M. Small numbers stay exact. */
export const compact = (value: number) =>
  Math.abs(value) < 100_000 ? whole.format(value) : short.format(value);

/** Without digits after the point: for axes. */
export const wholePercent = (ratio: number) => wholePercentage.format(ratio);

export const percent = (ratio: number) => percentage.format(ratio);

/** A single request costs fractions of a cent, and they are to be seen. */
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
  return `${at === 0 ? whole.format(size) : oneDigit.format(size)} ${units[at]}`;
}

/** 3 d 4 h, 5 min, 12 s: the two largest parts say enough. */
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

/** The books count in days of UTC. */
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

/** "Nov 1 – 30, 2026": the days from the first to the last. */
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

/** By the clock of who looks: 07:48. */
export const timeOfDay = (ms: number) => clock.format(ms);
export const timeWithSeconds = (ms: number) => clockSeconds.format(ms);

const moment = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'short',
  hourCycle: 'h23',
});

export const momentName = (iso: string) => moment.format(Date.parse(iso));

/** 0.8 ms, 12 ms, 1.2 s. */
export const latency = (ms: number) =>
  ms < 1000 ? `${whole.format(ms)} ms` : `${oneDigit.format(ms / 1000)} s`;

export const ratio = (part: number, all: number) => (all === 0 ? null : part / all);

export const shortKey = (key: string) => (key.length > 14 ? `…${key.slice(-10)}` : key);
