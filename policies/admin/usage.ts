import {
  dayOf,
  type Figures,
  type GroupField,
  groupFields,
  type Ledger,
  type Row,
} from '../llm-usage/ledger.ts';
import { type Cell, csvOf } from './csv.ts';
import type { ConsumerNames } from './consumers.ts';
import { AdminError, type AdminRequest, readQuery } from './http.ts';
import { type Period, previousPeriod, readPeriod } from './period.ts';

export interface UsageServices {
  readonly ledger: Ledger;
  readonly consumers: ConsumerNames;
}

/** The sums of a period, with the names of the consumers. */
interface PeriodSums {
  /** Null for the oldest day kept. */
  readonly from: string | null;
  /** Null for today. */
  readonly to: string | null;
  /** The first day with figures; earlier usage is unknown, not zero. */
  readonly since: string | null;
  readonly rows: readonly NamedRow[];
  readonly total: Figures;
}

type NamedRow = Row & { readonly consumer_name?: string | null };

export interface UsageReport extends PeriodSums {
  /** The sums of the previous period, if requested. */
  readonly previous?: PeriodSums;
}

/** A report as a file for a spreadsheet. */
export interface CsvFile {
  readonly name: string;
  readonly csv: string;
}

/** Answers `GET /llm-cache/usage`. */
export async function showUsage(
  req: AdminRequest,
  services: UsageServices,
  now: number,
): Promise<UsageReport | CsvFile> {
  const query = readQuery(req, ['from', 'to', 'month', 'group_by', 'compare', 'format']);
  const period = readPeriod(query);
  const groupBy = readGroups(query.group_by);
  const { compare, format = 'json' } = query;
  if (compare !== undefined && compare !== 'previous') {
    throw new AdminError(400, '"compare" must be previous');
  }
  if (format !== 'json' && format !== 'csv') {
    throw new AdminError(400, '"format" must be one of json, csv');
  }
  const before = compare === undefined ? null : previousPeriod(period, dayOf(now));
  const [own, previous] = await Promise.all([
    sumsOf(period, groupBy, services),
    before && sumsOf(before, groupBy, services),
  ]);
  const report = previous === null ? own : { ...own, previous };
  if (format === 'json') return report;
  const days = query.month ?? [own.from, own.to].filter((day) => day !== null).join('-to-');
  return { name: `llm-usage${days === '' ? '' : `-${days}`}.csv`, csv: asCsv(report, groupBy) };
}

async function sumsOf(
  period: Period,
  groupBy: readonly GroupField[],
  { ledger, consumers }: UsageServices,
): Promise<PeriodSums> {
  const { rows, total, since } = await ledger.query({ ...period, groupBy });
  const days = { from: period.from ?? null, to: period.to ?? null, since };
  if (!groupBy.includes('consumer_id')) return { ...days, rows, total };
  const names = await consumers.of(rows.map((row) => row.consumer_id));
  const named = rows.map((row) => ({
    ...row,
    consumer_name: names.get(row.consumer_id ?? '') ?? null,
  }));
  return { ...days, rows: named, total };
}

const hitTypes = ['exact', 'semantic', 'coalesced', 'stale'] as const;
const figureNames = [
  'requests',
  'hits',
  'billed_requests',
  'billed_tokens',
  'billed_input_tokens',
  'billed_output_tokens',
  'billed_cost',
  'saved_tokens',
  'saved_input_tokens',
  'saved_output_tokens',
  'saved_cost',
  'unpriced_requests',
] as const satisfies readonly (keyof Figures)[];

/** Writes one line per row and period, without a total, which a spreadsheet would count twice. */
function asCsv({ previous, ...own }: UsageReport, groupBy: readonly GroupField[]): string {
  const groups = groupBy.flatMap((field) =>
    field === 'consumer_id' ? ([field, 'consumer_name'] as const) : ([field] as const),
  );
  const columns = [
    'from',
    'to',
    ...groups,
    ...figureNames,
    ...hitTypes.map((type) => `${type}_hits`),
  ];
  const lines = [own, ...(previous === undefined ? [] : [previous])].flatMap(({ from, to, rows }) =>
    rows.map((row): Cell[] => [
      from,
      to,
      ...groups.map((field) => row[field]),
      ...figureNames.map((name) => row[name]),
      ...hitTypes.map((type) => row.hits_by_type[type]),
    ]),
  );
  return csvOf(columns, lines);
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
      `"group_by" must be one or more of ${allowed}, got ${JSON.stringify(name.slice(0, 80))}`,
    );
  });
}
