import { dayMs, dayOf } from '../llm-usage/ledger.ts';
import { AdminError } from './http.ts';

/**
 * A period of days, `YYYY-MM-DD` in UTC, `to` included. Without `from` or `to` it is open on that
 * side.
 */
export interface Period {
  readonly from?: string;
  readonly to?: string;
}

export interface ClosedPeriod extends Required<Period> {}

/** Parses `month=`, `from=` and `to=`. Throws an AdminError. */
export function readPeriod(query: {
  readonly from?: string;
  readonly to?: string;
  readonly month?: string;
}): Period {
  const { month } = query;
  if (month !== undefined) {
    if (query.from !== undefined || query.to !== undefined) {
      throw new AdminError(400, '"month" cannot be combined with "from" or "to"');
    }
    return monthOf(month);
  }
  const from = readDay('from', query.from);
  const to = readDay('to', query.to);
  if (from !== undefined && to !== undefined && from > to) {
    throw new AdminError(400, '"from" is later than "to"');
  }
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

/**
 * Returns the period to compare with: for a calendar month the month before, else the same number of
 * days before. An unfinished period is compared with as many days as have passed: comparing a part
 * with a whole would show a false drop. Throws an AdminError for a period without a start.
 */
export function previousPeriod(period: Period, today: string): ClosedPeriod {
  const { from, to = today } = period;
  if (from === undefined) {
    throw new AdminError(400, '"compare" needs a "from" or a "month"');
  }
  const passed = to > today ? (from > today ? from : today) : to;
  const first = Date.parse(from);
  const days = (Date.parse(passed) - first) / dayMs;
  if (!isMonth(from, to)) {
    return { from: dayOf(first - (days + 1) * dayMs), to: dayOf(first - dayMs) };
  }
  const before = monthOf(dayOf(first - dayMs).slice(0, 7));
  if (passed === to) return before;
  const last = dayOf(Date.parse(before.from) + days * dayMs);
  return { from: before.from, to: last < before.to ? last : before.to };
}

function isMonth(from: string, to: string): boolean {
  return from.endsWith('-01') && monthOf(from.slice(0, 7)).to === to;
}

/** Returns the days of a month, `YYYY-MM`. */
function monthOf(text: string): ClosedPeriod {
  const [, year, month] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text) ?? [];
  if (year === undefined || month === undefined) {
    throw new AdminError(400, '"month" must be a month, YYYY-MM');
  }
  // The last day is the one before the first of the next month.
  return { from: `${text}-01`, to: dayOf(Date.UTC(Number(year), Number(month), 1) - dayMs) };
}

/** Parses a day, `YYYY-MM-DD`, or a time in ISO 8601, which stands for its day in UTC. */
function readDay(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const isDay = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const at = isDay ? new Date(text) : new Date(NaN);
  const day = Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 10);
  // Date rolls the 31st of February over to March, so compare the texts.
  if (day === '' || (text.length === 10 && day !== text)) {
    throw new AdminError(400, `"${name}" must be a day, YYYY-MM-DD, or a time in ISO 8601`);
  }
  return day;
}
