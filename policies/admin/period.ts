import { dayMs, dayOf } from '../llm-usage/ledger.ts';
import { AdminError } from './http.ts';

/** Days, `YYYY-MM-DD` in UTC, the last one included; without an end where it has none. */
export interface Period {
  readonly from?: string;
  readonly to?: string;
}

export interface ClosedPeriod extends Required<Period> {}

/** What `month=`, `from=` and `to=` say. Throws an AdminError. */
export function readPeriod(query: {
  readonly from?: string;
  readonly to?: string;
  readonly month?: string;
}): Period {
  const { month } = query;
  if (month !== undefined) {
    if (query.from !== undefined || query.to !== undefined) {
      throw new AdminError(400, '"month" cannot stand beside "from" and "to"');
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
 * What a period is set beside: of a calendar month the one before, of other days as many before
 * them. Of a period that is not over only as many days as it has had so far: a part beside a whole
 * would show a fall that there is not. Throws an AdminError where a period has no beginning.
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

/** The days of a month, `YYYY-MM`. */
function monthOf(text: string): ClosedPeriod {
  const [, year, month] = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text) ?? [];
  if (year === undefined || month === undefined) {
    throw new AdminError(400, '"month" must be a month, YYYY-MM');
  }
  // The day before the first of the month that follows.
  return { from: `${text}-01`, to: dayOf(Date.UTC(Number(year), Number(month), 1) - dayMs) };
}

/** A day, `YYYY-MM-DD`, or a moment in ISO 8601, of which the day in UTC counts. */
function readDay(name: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const isDay = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const at = isDay ? new Date(text) : new Date(NaN);
  const day = Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(0, 10);
  // The 31st of February is no day, though Date makes one of it.
  if (day === '' || (text.length === 10 && day !== text)) {
    throw new AdminError(400, `"${name}" must be a day, YYYY-MM-DD, or a moment in ISO 8601`);
  }
  return day;
}
