import { type GroupField, groupFields, type Ledger } from '../llm-usage/ledger.ts';
import { AdminError, type AdminRequest, readQuery } from './http.ts';

/** `GET /llm-cache/usage`. */
export async function showUsage(req: AdminRequest, ledger: Ledger): Promise<object> {
  const query = readQuery(req, ['from', 'to', 'group_by']);
  const from = readDay('from', query.from);
  const to = readDay('to', query.to);
  if (from !== undefined && to !== undefined && from > to) {
    throw new AdminError(400, '"from" is later than "to"');
  }
  const groupBy = readGroups(query.group_by);
  return ledger.query({
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    groupBy,
  });
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

function readGroups(text: string | undefined): readonly GroupField[] {
  if (text === undefined || text === '') return [];
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names)].map((name) => {
    const field = groupFields.find((one) => one === name);
    if (field !== undefined) return field;
    const allowed = groupFields.join(', ');
    throw new AdminError(
      400,
      `"group_by" must be of ${allowed}, got ${JSON.stringify(name.slice(0, 80))}`,
    );
  });
}
