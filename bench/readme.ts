import { readFileSync, writeFileSync } from 'node:fs';

/** Puts a table into the README, between the marks of that name. */
export function writeTable(name: string, rows: readonly string[]): void {
  const marks = new RegExp(`(<!-- bench: ${name} -->\\n)[\\s\\S]*?(<!-- /bench -->)`);
  const text = readFileSync('README.md', 'utf8').replace(
    marks,
    (_all, begin: string, end: string) => `${begin}\n${rows.join('\n')}\n\n${end}`,
  );
  writeFileSync('README.md', text);
}
