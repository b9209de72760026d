/** Far more than one request can have: the longest contexts are some millions of tokens. */
const maxCount = 1e9;

/** Returns `value` if it is a plausible count of tokens or calls in one answer; else null. */
export function countOf(value: unknown): number | null {
  const isCount =
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxCount;
  return isCount ? (value as number) : null;
}

/** Whether `value` is present but not a plausible count. */
export function isNoCount(value: unknown): boolean {
  return value !== undefined && value !== null && countOf(value) === null;
}
