export type WaitUntil = (promise: Promise<unknown>) => unknown;

/** The platform's `waitUntil`, off the first of a handler's arguments that has one (`ctx`, `event`, `context`). */
export function waitUntilOf(args: readonly unknown[]): WaitUntil | null {
  const context = args.find(hasWaitUntil);
  // It wants to be called as the method that it is.
  return context === undefined ? null : (promise) => context.waitUntil(promise);
}

function hasWaitUntil(value: unknown): value is { waitUntil: WaitUntil } {
  if (typeof value !== 'object' || value === null || !('waitUntil' in value)) return false;
  return typeof value.waitUntil === 'function';
}
