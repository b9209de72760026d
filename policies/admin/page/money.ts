/** Formats an amount of USD with a fixed number of decimals. */
export type MoneyFormat = (usd: number) => string;

const maxDigits = 8;

/**
 * Returns a format with one precision for all `values`: cents or, if all are below a dollar, as many
 * decimals as the largest needs. It never shows a positive amount as zero.
 */
export function moneyFormat(values: readonly (number | null | undefined)[]): MoneyFormat {
  const highest = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)));
  const digits = digitsFor(highest);
  const format = new Intl.NumberFormat(undefined, {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  const least = 10 ** -digits;
  return (usd) => (usd > 0 && usd < least / 2 ? `<${format.format(least)}` : format.format(usd));
}

function digitsFor(highest: number): number {
  if (highest === 0 || highest >= 1) return 2;
  // Three significant digits of the largest value.
  return Math.min(maxDigits, 2 - Math.floor(Math.log10(highest)));
}
