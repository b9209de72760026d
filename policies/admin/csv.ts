export type Cell = string | number | null | undefined;

/**
 * CSV after RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in
 * front: names come from clients, and a formula in one could send the sheet elsewhere.
 */
export function csvOf(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
  // Without it Excel takes other letters than ASCII's for those of an old code page.
  return isAscii(text) ? text : `\uFEFF${text}`;
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return plainNumber(value);
  const safe = isFormula(value) ? `'${value}` : value;
  return /[",\r\n;\t]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** OWASP's list, also behind what does not show, and in the full width that Excel reads alike. */
function isFormula(text: string): boolean {
  return /^[\s\p{C}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/u.test(text);
}

/** Never with an exponent, which not every sheet reads. */
function plainNumber(value: number): string {
  const text = String(value);
  return text.includes('e') ? value.toFixed(12).replace(/\.?0+$/, '') : text;
}

function isAscii(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /^[\x00-\x7f]*$/.test(text);
}
