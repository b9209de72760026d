const { now } = Date;
let aheadMs = 0;
// Replaced on import, before the tested modules can keep a reference to the original.
Date.now = () => now() + aheadMs;

/** Runs `act` with the clock set ahead by `ms`, so that stored entries have expired. */
export async function later(act: () => Promise<void>, ms = 3000): Promise<void> {
  aheadMs += ms;
  try {
    await act();
  } finally {
    aheadMs -= ms;
  }
}
