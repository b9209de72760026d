const daySeconds = 86_400;

/** Formats milliseconds since the epoch as `YYYY-MM-DD`, UTC. */
export const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

export interface Range {
  readonly from: string;
  readonly to: string;
}

/** Returns the last `days` days, including today. */
export function lastDays(days: number, now: number = Date.now()): Range {
  return { from: dayOf(now - (days - 1) * daySeconds * 1000), to: dayOf(now) };
}

/** Returns the calendar month that lies `months` before the current one. */
export function monthBefore(months: number, now: number = Date.now()): Range {
  const today = new Date(now);
  const first = (offset: number) =>
    Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + offset, 1);
  return { from: dayOf(first(-months)), to: dayOf(first(1 - months) - daySeconds * 1000) };
}

/** Returns each day of the range in seconds since the epoch, without future days. */
export function daysIn({ from, to }: Range, now: number = Date.now()): number[] {
  const first = Date.parse(from) / 1000;
  const last = Math.min(Date.parse(to), Date.parse(dayOf(now))) / 1000;
  const days = Math.max(0, Math.round((last - first) / daySeconds) + 1);
  return Array.from({ length: days }, (_, at) => first + at * daySeconds);
}
