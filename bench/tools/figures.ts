import process from 'node:process';
import { percentile } from '../reliability/scenario.ts';

/** How long one round of one side takes; BENCH_SECONDS makes all of them longer or shorter. */
export const roundSeconds = Number(process.env['BENCH_SECONDS'] ?? 0.5);
export const rounds = 7;

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** One figure of every round, and how it is written. */
export interface Spread {
  readonly values: readonly number[];
  readonly write: (value: number) => string;
}

export interface Row {
  readonly what: string;
  readonly cells: readonly Spread[];
}

/** What one scenario showed. */
export interface Table {
  readonly title: string;
  /** What stands against what, and how it was made sure that it does. */
  readonly note: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** The column that the picture shows; it is a ratio, and 1 is as good as the other side. */
  readonly bar?: number;
}

export type Scenario = () => Promise<Table | string>;

export function spread(values: readonly number[], write: Spread['write']): Spread {
  return { values, write };
}

/** Round by round, for the machine is not the same from one minute to the next. */
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

/** Fails the scenario: what was measured is not what it says. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not what was to be measured: ${what}`);
}
