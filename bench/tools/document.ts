import { readFileSync, writeFileSync } from 'node:fs';

const file = 'docs/performance.md';

/** Writes a table into docs/performance.md, between the marks of that name. */
export function writeTable(name: string, rows: readonly string[]): void {
  const marks = new RegExp(`(<!-- bench: ${name} -->\\n)[\\s\\S]*?(<!-- /bench -->)`);
  const text = readFileSync(file, 'utf8').replace(
    marks,
    (_all, begin: string, end: string) => `${begin}\n${rows.join('\n')}\n\n${end}`,
  );
  writeFileSync(file, text);
}

/** Writes a table whose rows have names: replaces the rows in `rows` and keeps the others. */
export function writeRows(
  name: string,
  head: string,
  names: readonly string[],
  rows: ReadonlyMap<string, string>,
): void {
  const columns = head.split('|').length - 2;
  const kept = new Map(
    readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => [/^\| `(\w+)` \|/.exec(line)?.[1], line]),
  );
  const found = names.map((one) => rows.get(one) ?? kept.get(one));
  const all = found.filter((row) => row !== undefined);
  writeTable(name, [head, `|${' --- |'.repeat(columns)}`, ...all]);
}
