import { type CachedResponse, isEntry } from '../../llm-cache/entry.ts';
import type { Relay } from '../../llm-cache/stores/relay.ts';
import type { EntryStore } from '../../llm-cache/stores/store.ts';
import type { FaultLog } from '../../shared/faults.ts';

/** Wraps the application's own store, and enforces the contract of `EntryStore`. */
export class GuardedStore implements EntryStore {
  readonly #store: EntryStore;
  readonly #faults: FaultLog;

  constructor(store: EntryStore, faults: FaultLog) {
    this.#store = store;
    this.#faults = faults;
  }

  async get(key: string): Promise<CachedResponse | undefined> {
    // Many key-value stores return null for a missing entry.
    const entry: unknown = (await this.#store.get(key)) ?? undefined;
    if (entry === undefined || isEntry(entry)) return entry;
    throw new TypeError('The store returned a value that is not an entry.');
  }

  async set(key: string, entry: CachedResponse, askedAt?: number): Promise<boolean> {
    return this.#store.set(key, entry, askedAt);
  }

  used(key: string, entry: CachedResponse): void {
    try {
      this.#store.used(key, entry);
    } catch (error) {
      this.#faults.report('llm-cache: the store could not record a hit', error);
    }
  }

  get relay(): Relay | undefined {
    return this.#store.relay;
  }
}
