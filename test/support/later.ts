const { now } = Date;
let aheadMs = 0;
// At once, before what is tested keeps the function for itself.
Date.now = () => now() + aheadMs;

/** Lets `act` see the clock ahead by `ms`, so that what is stored has expired. */
export async function later(act: () => Promise<void>, ms = 3000): Promise<void> {
  aheadMs += ms;
  try {
    await act();
  } finally {
    aheadMs -= ms;
  }
}
