export type Cell = string | number | null | undefined;

/**
 * Writes CSV per RFC 4180. Prefixes text that a spreadsheet would read as a formula with an
 * apostrophe: clients choose some names, and a formula in one could leak the sheet's data.
 */
export function csvOf(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
  // Without a BOM, Excel decodes non-ASCII letters with a legacy code page.
  return isAscii(text) ? text : `\uFEFF${text}`;
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return plainNumber(value);
  const safe = isFormula(value) ? `'${value}` : value;
  return /[",\r\n;\t]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * Checks for OWASP's list of prefixes, also after invisible characters and in full-width form,
 * which Excel accepts.
 */
function isFormula(text: string): boolean {
  return /^[\s\p{C}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/u.test(text);
}

/** Avoids exponents, which not every spreadsheet reads. */
function plainNumber(value: number): string {
  const text = String(value);
  return text.includes('e') ? value.toFixed(12).replace(/\.?0+$/, '') : text;
}

function isAscii(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /^[\x00-\x7f]*$/.test(text);
}
