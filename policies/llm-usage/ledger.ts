import { countOf } from '../shared/count.ts';
import type { CacheType } from '../shared/exchange.ts';
import type { UsageSink } from './sinks/sink.ts';
import type { UsageRecord } from './usage-record.ts';

/** The fields that a report can be grouped by, named as in the usage record. */
export const groupFields = [
  'day',
  'model',
  'requested_model',
  'provider',
  'consumer_id',
  'api_endpoint',
] as const;

export type GroupField = (typeof groupFields)[number];

/** The fields shared by all records of one sum. */
export interface Group {
  /** The day on which the request arrived by the ledger's own clock: `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly model: string | null;
  readonly requested_model: string | null;
  readonly provider: string;
  readonly consumer_id: string | null;
  readonly api_endpoint: string | null;
}

export interface LedgerBounds {
  /** Number of days to keep and report, including today. */
  readonly retentionDays: number;
  /** Bound on the groups of all those days; a record beyond it goes to its day's `other` group. */
  readonly maxGroups: number;
}

export interface LedgerQuery {
  /** The first day, `YYYY-MM-DD`; defaults to the oldest kept. */
  readonly from?: string;
  /** The last day, inclusive. */
  readonly to?: string;
  /** Empty puts everything into one row. */
  readonly groupBy: readonly GroupField[];
}

/** The figures of a report row: tokens as the providers count them, costs in USD. */
export interface Figures {
  readonly requests: number;
  /** Requests that the cache answered. */
  readonly hits: number;
  readonly hits_by_type: Readonly<Record<CacheType, number>>;
  readonly billed_requests: number;
  readonly billed_tokens: number;
  readonly saved_tokens: number;
  readonly billed_input_tokens: number;
  readonly billed_output_tokens: number;
  readonly saved_input_tokens: number;
  readonly saved_output_tokens: number;
  /** The sum of all known costs; null if none is known. */
  readonly billed_cost: number | null;
  readonly saved_cost: number | null;
  /** Billed requests and hits whose cost is unknown. */
  readonly unpriced_requests: number;
}

/** One report row: the fields it is grouped by, and the figures of its records. */
export type Row = Partial<Group> & Figures;

export interface LedgerReport {
  /** The first day with figures in the ledger, regardless of the query; null if it is empty. */
  readonly since: string | null;
  /** Sorted by day if grouped by day, then by requests in descending order, then by names. */
  readonly rows: readonly Row[];
  readonly total: Figures;
}

/** A sink that sums usage records by day and names. */
export interface Ledger extends UsageSink {
  /** Rejects if the sums cannot be read. */
  query(query: LedgerQuery): Promise<LedgerReport>;
  /** Replaces the bounds after a configuration was reloaded. */
  configure(bounds: LedgerBounds): void;
}

export const sumNames = [
  'requests',
  'exact',
  'semantic',
  'coalesced',
  'stale',
  'billed_requests',
  'billed_tokens',
  'billed_input_tokens',
  'billed_output_tokens',
  'billed_pico',
  'billed_priced',
  'saved_tokens',
  'saved_input_tokens',
  'saved_output_tokens',
  'saved_pico',
  'saved_priced',
  'unpriced_requests',
] as const;

export type SumName = (typeof sumNames)[number];

/** Counters; `…_pico` is in 10⁻¹² USD, and `…_priced` counts the requests in that sum. */
export type Sums = Record<SumName, bigint>;

export interface Line {
  readonly group: Group;
  readonly sums: Sums;
}

export function noSums(): Sums {
  return Object.fromEntries(sumNames.map((name) => [name, 0n])) as Sums;
}

export function addSums(to: Sums, more: Sums): void {
  for (const name of sumNames) to[name] += more[name];
}

export function addRecord(to: Sums, record: UsageRecord): void {
  const { cache_type: cacheType, billed } = record;
  const pico = picoOf(record.total_cost);
  to.requests += 1n;
  if (cacheType !== null) to[cacheType] += 1n;
  if (billed) to.billed_requests += 1n;
  if (isPaid(record) && pico === null) to.unpriced_requests += 1n;
  if (billed) addSide(to, 'billed', record, pico);
  if (cacheType !== null) addSide(to, 'saved', record, pico);
}

/**
 * Whether the request cost something, or would have without the cache. An unbilled request costs
 * its sender nothing.
 */
export function isPaid({ billed, cache_type: cacheType }: UsageRecord): boolean {
  return billed || cacheType !== null;
}

function addSide(
  to: Sums,
  side: 'billed' | 'saved',
  record: UsageRecord,
  pico: bigint | null,
): void {
  to[`${side}_tokens` as const] += bigintOf(record.total_tokens);
  to[`${side}_input_tokens` as const] += bigintOf(record.input_tokens);
  to[`${side}_output_tokens` as const] += bigintOf(record.output_tokens);
  if (pico === null) return;
  to[`${side}_pico` as const] += pico;
  to[`${side}_priced` as const] += 1n;
}

/** USD. A higher cost means a wrong price or count, so it counts as unpriced. */
const maxCost = 1e6;

/**
 * Converts USD to whole picodollars (10⁻¹² USD), so that sums are exact; null if unknown or
 * implausible.
 */
export function picoOf(cost: number | null): bigint | null {
  return cost !== null && cost >= 0 && cost <= maxCost ? BigInt(Math.round(cost * 1e12)) : null;
}

function bigintOf(count: number | null): bigint {
  return BigInt(countOf(count) ?? 0);
}

/**
 * Groups the lines by `groupBy` and sums each group; `days` are all days with figures in the
 * ledger.
 */
export function reportOf(
  lines: Iterable<Line>,
  groupBy: readonly GroupField[],
  days: readonly string[],
): LedgerReport {
  const total = noSums();
  const rows = new Map<string, Line>();
  for (const { group, sums } of lines) {
    addSums(total, sums);
    const name = JSON.stringify(groupBy.map((field) => group[field]));
    const row = rows.get(name);
    if (row === undefined) rows.set(name, { group, sums: { ...sums } });
    else addSums(row.sums, sums);
  }
  const sorted = [...rows.values()].toSorted((a, b) => compareLines(a, b, groupBy));
  return {
    since: days.toSorted()[0] ?? null,
    rows: sorted.map(({ group, sums }) => ({ ...fieldsOf(group, groupBy), ...figuresOf(sums) })),
    total: figuresOf(total),
  };
}

function compareLines(a: Line, b: Line, groupBy: readonly GroupField[]): number {
  if (groupBy.includes('day') && a.group.day !== b.group.day) {
    return a.group.day < b.group.day ? -1 : 1;
  }
  if (a.sums.requests !== b.sums.requests) return a.sums.requests > b.sums.requests ? -1 : 1;
  for (const field of groupBy) {
    const [left, right] = [a.group[field], b.group[field]];
    if (left === right) continue;
    if (left === null || right === null) return left === null ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}

function fieldsOf(group: Group, fields: readonly GroupField[]): Partial<Group> {
  return Object.fromEntries(fields.map((field) => [field, group[field]]));
}

function figuresOf(sums: Sums): Figures {
  const { exact, semantic, coalesced, stale } = sums;
  return {
    requests: Number(sums.requests),
    hits: Number(exact + semantic + coalesced + stale),
    hits_by_type: {
      exact: Number(exact),
      semantic: Number(semantic),
      coalesced: Number(coalesced),
      stale: Number(stale),
    },
    billed_requests: Number(sums.billed_requests),
    billed_tokens: Number(sums.billed_tokens),
    saved_tokens: Number(sums.saved_tokens),
    billed_input_tokens: Number(sums.billed_input_tokens),
    billed_output_tokens: Number(sums.billed_output_tokens),
    saved_input_tokens: Number(sums.saved_input_tokens),
    saved_output_tokens: Number(sums.saved_output_tokens),
    billed_cost: sums.billed_priced === 0n ? null : usdOf(sums.billed_pico),
    saved_cost: sums.saved_priced === 0n ? null : usdOf(sums.saved_pico),
    unpriced_requests: Number(sums.unpriced_requests),
  };
}

/**
 * Converts picodollars to the nearest number of USD. Goes through text: a large sum is inexact as a
 * number.
 */
export function usdOf(pico: bigint): number {
  return Number(`${pico}e-12`);
}

export const dayMs = 86_400_000;

let knownDay = { number: Number.NaN, text: '' };

/** Formats a time in milliseconds since the epoch as `YYYY-MM-DD`, UTC. */
export function dayOf(time: number): string {
  const number = Math.floor(time / dayMs);
  if (number !== knownDay.number) {
    knownDay = { number, text: new Date(number * dayMs).toISOString().slice(0, 10) };
  }
  return knownDay.text;
}

/** Returns the oldest day within the retention. */
export function oldestDay(now: number, { retentionDays }: LedgerBounds): string {
  return new Date(Math.max(0, now - (retentionDays - 1) * dayMs)).toISOString().slice(0, 10);
}

/** Whether the query's range includes the day. */
export function asksFor({ from, to }: LedgerQuery, day: string): boolean {
  return (from === undefined || day >= from) && (to === undefined || day <= to);
}
