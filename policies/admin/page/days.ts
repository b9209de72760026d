const daySeconds = 86_400;

/** As `YYYY-MM-DD`, in UTC. */
export const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

export interface Range {
  readonly from: string;
  readonly to: string;
}

/** The last `days` days with today. */
export function lastDays(days: number, now: number = Date.now()): Range {
  return { from: dayOf(now - (days - 1) * daySeconds * 1000), to: dayOf(now) };
}

/** A calendar month, so many before the one that runs. */
export function monthBefore(months: number, now: number = Date.now()): Range {
  const today = new Date(now);
  const first = (offset: number) =>
    Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + offset, 1);
  return { from: dayOf(first(-months)), to: dayOf(first(1 - months) - daySeconds * 1000) };
}

/** Each day of the range, in seconds since 1970; not those that are to come. */
export function daysIn({ from, to }: Range, now: number = Date.now()): number[] {
  const first = Date.parse(from) / 1000;
  const last = Math.min(Date.parse(to), Date.parse(dayOf(now))) / 1000;
  const days = Math.max(0, Math.round((last - first) / daySeconds) + 1);
  return Array.from({ length: days }, (_, at) => first + at * daySeconds);
}
