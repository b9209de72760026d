export type WaitUntil = (promise: Promise<unknown>) => unknown;

/**
 * Returns `waitUntil` of the first of a handler's arguments that has one (`ctx`, `event`,
 * `context`); null if none has.
 */
export function waitUntilOf(args: readonly unknown[]): WaitUntil | null {
  const context = args.find(hasWaitUntil);
  // The platform requires that it is called as a method.
  return context === undefined ? null : (promise) => context.waitUntil(promise);
}

function hasWaitUntil(value: unknown): value is { waitUntil: WaitUntil } {
  if (typeof value !== 'object' || value === null || !('waitUntil' in value)) return false;
  return typeof value.waitUntil === 'function';
}
