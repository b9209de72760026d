import process from 'node:process';
import { percentile } from '../reliability/scenario.ts';

/** The duration of one round of one side, in seconds. */
export const roundSeconds = Number(process.env['BENCH_SECONDS'] ?? 0.5);
export const rounds = 7;

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** One value per round, and its text form. */
export interface Spread {
  readonly values: readonly number[];
  readonly write: (value: number) => string;
}

export interface Row {
  readonly what: string;
  readonly cells: readonly Spread[];
}

/** The results of one scenario. */
export interface Table {
  readonly title: string;
  /** What is compared, and how the scenario checks that. */
  readonly note: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** The column that the picture shows: a ratio, 1 if both sides are equal. */
  readonly bar?: number;
}

export type Scenario = () => Promise<Table | string>;

export function spread(values: readonly number[], write: Spread['write']): Spread {
  return { values, write };
}

/** Divides round by round, as the machine's speed changes from minute to minute. */
export function ratio(ours: readonly number[], theirs: readonly number[]): Spread {
  const values = ours.map((value, round) => value / (theirs[round] ?? NaN));
  return spread(values, (value) => `${value.toFixed(2)} ×`);
}

export const perSecond = (value: number) => `${Math.round(value)}/s`;
export const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
export const us = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} µs`;
export const count = (value: number) => String(Math.round(value));

export function text({ values, write }: Spread): string {
  const middle = write(median(values));
  if (values.length === 1) return middle;
  return `${middle} (${write(Math.min(...values))} – ${write(Math.max(...values))})`;
}

/** Fails the scenario if a condition of its measurement does not hold. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`the measurement is invalid; required: ${what}`);
}
