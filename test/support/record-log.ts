import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { eventually } from './eventually.ts';

/** Whether a line is one of the `log` sink. */
export function isRecord(line: string): boolean {
  return line.startsWith('llm-usage {');
}

/** Creates a log that collects its lines, and reads the usage records among them. */
export function recordLog() {
  const lines: string[] = [];
  const keep = (line: string) => void lines.push(line);
  const records = (): UsageRecord[] =>
    lines
      .filter(isRecord)
      .map((line) => JSON.parse(line.slice('llm-usage '.length)) as UsageRecord);
  const recordsOf = (model: string) =>
    records().filter(({ requested_model: requested }) => requested === model);
  return {
    info: keep,
    warn: keep,
    error: keep,
    lines,
    records,
    /** Waits for at least `count` records of requests for `model`, and returns all of them. */
    async recorded(model: string, count: number): Promise<UsageRecord[]> {
      await eventually(() => recordsOf(model).length >= count, `${count} records of ${model}`);
      return recordsOf(model);
    },
  };
}
