import { readFileSync, writeFileSync } from 'node:fs';

const file = 'docs/performance.md';

/** Puts a table into the document on performance, between the marks of that name. */
export function writeTable(name: string, rows: readonly string[]): void {
  const marks = new RegExp(`(<!-- bench: ${name} -->\\n)[\\s\\S]*?(<!-- /bench -->)`);
  const text = readFileSync(file, 'utf8').replace(
    marks,
    (_all, begin: string, end: string) => `${begin}\n${rows.join('\n')}\n\n${end}`,
  );
  writeFileSync(file, text);
}
