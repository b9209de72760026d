/** Writes USD, all with as many digits. */
export type MoneyFormat = (usd: number) => string;

const most = 8;

/**
 * One precision for all of `values`: cents or, where all are less than a dollar, as much as the
 * largest needs. What is not nothing is never shown as nothing.
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
  // Three that count of the largest.
  return Math.min(most, 2 - Math.floor(Math.log10(highest)));
}
