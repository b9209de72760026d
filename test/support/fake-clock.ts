import { install } from '@sinonjs/fake-timers';

type Clock = ReturnType<typeof install>;

/**
 * Installs fake timers and a fake `Date` around each test of the suite. The result returns the
 * current fake clock.
 */
export function useFakeClock(options: Parameters<typeof install>[0] = {}): () => Clock {
  let clock: Clock | null = null;
  beforeEach(() => {
    clock = install(options);
  });
  afterEach(() => {
    clock?.uninstall();
    clock = null;
  });
  return () => {
    if (clock === null) throw new Error('the fake clock exists only during a test');
    return clock;
  };
}
