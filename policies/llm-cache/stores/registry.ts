import type { StoreSettings } from '../../../schemas/plugin.ts';
import { ConfigurationError } from '../../../schemas/validate.ts';
import { MemoryStore } from './memory.ts';
import type { Store } from './store.ts';

interface Kept {
  readonly store: Store;
  wanted: boolean;
  usedAt: number;
}

const idleMs = 5 * 60_000;
const sweepMs = 60_000;

/**
 * The named stores, kept across reloads of the configuration. A reload that fails leaves the old
 * pipelines serving, and nothing says so: a store that is no longer wanted is closed only when
 * nobody has used it for some minutes.
 */
export class StoreRegistry {
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;
  #settings: Readonly<Record<string, StoreSettings>> = {};

  constructor(now: () => number = Date.now) {
    this.#now = now;
    setInterval(() => void this.sweep(), sweepMs).unref();
  }

  /** The stores that a configuration names; `memory` exists even when nothing is said. */
  configure(settings: Readonly<Record<string, StoreSettings>>): void {
    this.#settings = storeSettings(settings);
    const wanted = new Set(Object.entries(this.#settings).map(([name, one]) => keyOf(name, one)));
    for (const [key, kept] of this.#kept) kept.wanted = wanted.has(key);
  }

  /** The store of that name, as it is configured now. Throws a ConfigurationError where there is none. */
  open(name: string): Store {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings === undefined) throw unknownStore(name, this.#settings, 'llm-cache');
    const key = keyOf(name, settings);
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      kept = { store: makeStore(settings), wanted: true, usedAt: this.#now() };
      this.#kept.set(key, kept);
    }
    return this.#watched(kept);
  }

  /** Closes what nobody wants and nobody uses. */
  async sweep(): Promise<void> {
    for (const [key, kept] of this.#kept) {
      if (kept.wanted || this.#now() - kept.usedAt < idleMs) continue;
      this.#kept.delete(key);
      await kept.store.close();
    }
  }

  #watched(kept: Kept): Store {
    const { store } = kept;
    const used = () => {
      kept.usedAt = this.#now();
      return store;
    };
    return {
      get: (key) => used().get(key),
      set: (key, entry) => used().set(key, entry),
      delete: (key) => used().delete(key),
      purge: (filter) => used().purge(filter),
      relay: store.relay,
      stats: () => store.stats(),
      close: () => store.close(),
    };
  }
}

/** `settings` with what exists without being named. */
export function storeSettings(
  settings: Readonly<Record<string, StoreSettings>>,
): Readonly<Record<string, StoreSettings>> {
  return { memory: { type: 'memory', maxBytes: 268435456 }, ...settings };
}

export function unknownStore(
  name: string,
  settings: Readonly<Record<string, StoreSettings>>,
  where: string,
): ConfigurationError {
  const names = Object.keys(settings).join(', ');
  return new ConfigurationError(
    `${where}: "store" must be one of ${names} (the stores in system.config.yml), got ${JSON.stringify(name)}`,
  );
}

/** The only place that knows every kind of store. */
function makeStore(settings: StoreSettings): Store {
  return new MemoryStore({ maxBytes: settings.maxBytes });
}

function keyOf(name: string, settings: StoreSettings): string {
  // The order in which somebody wrote the settings makes no other store of it.
  return JSON.stringify([name, Object.entries(settings).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}
