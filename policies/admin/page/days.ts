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

/** Each day of the range, in seconds since 1970. */
export function daysIn({ from, to }: Range): number[] {
  const first = Date.parse(from) / 1000;
  const days = Math.round((Date.parse(to) / 1000 - first) / daySeconds) + 1;
  return Array.from({ length: days }, (_, at) => first + at * daySeconds);
}
