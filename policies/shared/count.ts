/** Far beyond what one request can have: the longest contexts are some millions of tokens. */
const maxCount = 1e9;

/** `value` where it is a count of tokens, calls or the like that one answer can tell; else null. */
export function countOf(value: unknown): number | null {
  const isCount =
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxCount;
  return isCount ? (value as number) : null;
}

/** Whether something stands where a count belongs, and is none. */
export function isNoCount(value: unknown): boolean {
  return value !== undefined && value !== null && countOf(value) === null;
}
