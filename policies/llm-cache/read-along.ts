import type { CachedResponse } from './entry.ts';
import type { Flight } from './flight.ts';
import type { Flights } from './flights.ts';
import type { EntryStore } from './stores/store.ts';

/** Delays between reads: the entry may become visible a moment after the other gateway announced it. */
const retryDelaysMs = [0, 20, 50, 100, 200, 400, 800];

/** Feeds `flight`, and so its local joiners, with the answer from the gateway that makes the call. */
export function readAlong(parts: {
  readonly key: string;
  readonly flight: Flight;
  readonly store: EntryStore;
  readonly flights: Flights;
}): void {
  const { key, flight, store, flights } = parts;
  const finish = (entry: CachedResponse | null) => {
    flights.close(key, flight);
    void flight.settle(entry);
  };
  flight.leaderLeft();
  const following = store.relay?.follow(key, {
    head: (headers) => flight.head(200, (name) => headers[name]),
    chunk: (bytes) => flight.chunk(bytes),
    end: (outcome) => {
      flight.end();
      if (outcome.kind === 'whole') return finish(null);
      void readStored(store, key, outcome.storedAt).then(finish);
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

/** Reads the entry that another gateway has just stored. Null if it does not appear in time. */
async function readStored(
  store: EntryStore,
  key: string,
  storedAt: number,
): Promise<CachedResponse | null> {
  for (const ms of retryDelaysMs) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    try {
      const entry = await store.get(key);
      // An older entry is an earlier answer, not the one announced.
      if (entry !== undefined && entry.storedAt >= storedAt && entry.freshUntil > Date.now()) {
        return entry;
      }
    } catch {
      // The store reports its own faults.
    }
  }
  return null;
}
