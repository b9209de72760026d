import { install } from '@sinonjs/fake-timers';

type Clock = ReturnType<typeof install>;

/** Replaces timers and `Date` from before each test of the suite until after it; `clock()` advances them. */
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
    if (clock === null) throw new Error('the fake clock runs during a test only');
    return clock;
  };
}
