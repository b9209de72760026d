import type { CachedResponse } from './entry.ts';
import type { Flight } from './flight.ts';
import type { Flights } from './flights.ts';
import type { EntryStore } from './stores/store.ts';

/** A store may write a moment after it has said that it will, and may fail meanwhile. */
const lookAgainMs = [0, 20, 50, 100, 200, 400, 800];

/** Lets a flight get its answer from the gateway that makes the call, for those who join it here. */
export function readAlong(parts: {
  readonly key: string;
  readonly flight: Flight;
  readonly store: EntryStore;
  readonly flights: Flights;
}): void {
  const { key, flight, store, flights } = parts;
  const over = (entry: CachedResponse | null) => {
    flights.close(key, flight);
    void flight.settle(entry);
  };
  flight.leaderLeft();
  const following = store.relay?.follow(key, {
    head: (headers) => flight.head(200, (name) => headers[name]),
    chunk: (bytes) => flight.chunk(bytes),
    end: (outcome) => {
      flight.end();
      if (outcome.kind === 'whole') return over(null);
      void justStored(store, key, outcome.storedAt).then(over);
    },
    fail: () => {
      flights.close(key, flight);
      flight.abort('aborted');
    },
  });
  flight.leadBy({
    resume: () => {},
    abandon: () => {
      following?.stop();
      flights.close(key, flight);
      flight.abort('client-left');
    },
  });
}

/** The entry that another gateway has just stored; null where it is not to be had, and those who wait go by themselves. */
async function justStored(
  store: EntryStore,
  key: string,
  storedAt: number,
): Promise<CachedResponse | null> {
  for (const ms of lookAgainMs) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    try {
      const entry = await store.get(key);
      // What stood there before is another answer.
      if (entry !== undefined && entry.storedAt >= storedAt && entry.freshUntil > Date.now()) {
        return entry;
      }
    } catch {
      // The store has said what is wrong with it.
    }
  }
  return null;
}
