import { randomBytes } from 'node:crypto';
import type { MemorySettings, RedisSettings, StoreSettings } from '../../../schemas/plugin.ts';
import { suggestion } from '../../../schemas/suggestion.ts';
import { ConfigurationError } from '../../../schemas/validate.ts';
import { ByteBudget } from '../../shared/bytes/budget.ts';
import type { Log } from '../../shared/log.ts';
import { canonicalMembers } from '../../shared/json/json-scan.ts';
import { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import { joinMembers } from '../key.ts';
import type { CostOf } from './bounded/appraiser.ts';
import { Encryption } from './encryption.ts';
import { entriesOf } from './entries-of.ts';
import { MemoryStore } from './memory.ts';
import { RedisConnection } from '../../shared/redis/connection.ts';
import { PersistentStore } from './persistent.ts';
import { RedisStore } from './redis.ts';
import type { Seal } from './seal.ts';
import { Signature } from './signature.ts';
import { SnapshotFile } from './snapshot-file.ts';
import type { EntryFilter, Store, StoreStats } from './store.ts';
import { TieredStore } from './tiered.ts';

interface OpenStore {
  readonly store: Store;
  /** The stores that a tiered store consists of. */
  readonly parts: readonly OpenStore[];
  readonly connection?: RedisConnection;
  /** The memory store itself, if `store` is one or wraps one. */
  readonly memory?: MemoryStore;
  wanted: boolean;
  usedAt: number;
}

/** What stores need from the gateway. */
export interface StoreContext {
  /** The options of the gateway's own Redis connection. */
  readonly gatewayRedis: Readonly<Record<string, unknown>>;
  /** The operator's `scopeSecret`, by which gateways recognize what one of them wrote. */
  readonly secret: string;
  /** Charged for the bodies that stores read. */
  readonly bodies: SharedBodies;
  /** Returns the list price of a stored answer in USD, or null if it is unknown. */
  readonly costOf: CostOf;
  readonly log: Log;
}

/** A store's place in Redis, where other parts of the plugin may keep data beside its entries. */
export interface RedisPlace {
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
}

const silent: Log = { info() {}, warn() {}, error() {} };

const idleMs = 5 * 60_000;
const sweepMs = 60_000;

/**
 * The named stores, which survive reloads of the configuration. A failed reload leaves the old
 * pipelines serving, without notice. So a store that is no longer configured is closed only after no
 * step has used it for some minutes.
 */
export class StoreRegistry {
  readonly #open = new Map<string, OpenStore>();
  readonly #now: () => number;
  readonly #sweeping: NodeJS.Timeout;
  #settings: Readonly<Record<string, StoreSettings>> = {};
  /** Resolves when stores that are no longer configured have handed over their files. */
  #handedOver: Promise<unknown> = Promise.resolve();
  #context: StoreContext = {
    gatewayRedis: {},
    secret: randomBytes(32).toString('base64'),
    bodies: new SharedBodies(new ByteBudget(Infinity)),
    costOf: () => null,
    log: silent,
  };

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#sweeping = setInterval(() => void this.sweep(), sweepMs).unref();
  }

  /** Sets the configured stores. `memory` exists even if it is not configured. */
  configure(
    settings: Readonly<Record<string, StoreSettings>>,
    context: Partial<StoreContext> = {},
  ): void {
    this.#context = { ...this.#context, ...context };
    this.#settings = storeSettings(settings);
    const wanted = new Set(Object.keys(this.#settings).map((name) => this.#keyOf(name)));
    const handed: Promise<void>[] = [];
    for (const [key, opened] of this.#open) {
      const { store } = opened;
      const isWanted = wanted.has(key);
      if (store instanceof PersistentStore && isWanted !== opened.wanted)
        handed.push(store.owns(isWanted));
      opened.wanted = isWanted;
    }
    this.#handedOver = Promise.all(handed);
    // Open persisted stores now, so that their files are read before the first request.
    for (const [name, store] of Object.entries(this.#settings)) {
      if (store.type === 'memory' && store.persist !== undefined) this.#openStore(name);
    }
  }

  /** Returns the store of the name, as configured now. Throws a ConfigurationError if there is none. */
  open(name: string): Store {
    return this.#watched(this.#openStore(name));
  }

  /** The names of the stores that are configured now. */
  get names(): readonly string[] {
    return Object.keys(this.#settings);
  }

  #openStore(name: string): OpenStore {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings === undefined) throw unknownStore(name, this.#settings, 'llm-cache');
    const key = this.#keyOf(name);
    let opened = this.#open.get(key);
    if (opened === undefined) {
      opened = { ...this.#make(name, settings), wanted: true, usedAt: this.#now() };
      this.#open.set(key, opened);
    }
    return opened;
  }

  /** The statistics of every configured store, used or not. */
  stats(): Readonly<Record<string, StoreStats>> {
    const all = Object.entries(this.#settings).map(([name, settings]) => {
      const opened = this.#open.get(this.#keyOf(name));
      return [name, opened?.store.stats() ?? unused(settings)] as const;
    });
    return Object.fromEntries(all);
  }

  /** Every store that holds entries, once. A redis store behind a tiered one is accessed through it. */
  entryStores(): readonly (readonly [name: string, store: Store])[] {
    const throughOf = new Map<string, string>();
    for (const [name, settings] of Object.entries(this.#settings)) {
      if (settings.type === 'tiered') throughOf.set(settings.far, name);
    }
    return Object.entries(this.#settings)
      .filter(([, { type }]) => type !== 'tiered')
      .map(([name]) => [name, this.open(throughOf.get(name) ?? name)] as const);
  }

  /** Returns the Redis of a redis or tiered store, or null if there is no such store. */
  placeOf(name: string): RedisPlace | null {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings?.type === 'tiered') return this.placeOf(settings.far);
    if (settings?.type !== 'redis') return null;
    const { connection } = this.#openStore(name);
    return connection === undefined ? null : { connection, keyPrefix: settings.keyPrefix };
  }

  /** Returns the connection of the named redis store (default: the first one). Throws a ConfigurationError if there is none. */
  redisOf(name = redisStores(this.#settings)[0]): RedisConnection {
    const place = name === undefined ? null : this.placeOf(name);
    if (place === null) throw new ConfigurationError(`there is no redis store "${name}"`);
    return place.connection;
  }

  /** Creates a store. Only this method knows every kind of store. */
  #make(
    name: string,
    settings: StoreSettings,
  ): Pick<OpenStore, 'store' | 'parts' | 'connection' | 'memory'> {
    switch (settings.type) {
      case 'memory':
        return this.#memory(name, settings);
      case 'redis': {
        const { keyPrefix, timeoutMs, coalesceAcross } = settings;
        const { gatewayRedis, bodies, log } = this.#context;
        const { url, options } = isPlaced(settings)
          ? settings
          : { url: undefined, options: { ...gatewayRedis, ...settings.options } };
        const connection = new RedisConnection({
          subject: `llm-cache: store "${name}"`,
          url,
          options,
          timeoutMs,
          log,
        });
        const seal = this.#sealOf(settings);
        const store = new RedisStore({ connection, keyPrefix, seal, bodies, coalesceAcross });
        return { store, parts: [], connection };
      }
      case 'tiered': {
        const parts = [this.#openStore(settings.near), this.#openStore(settings.far)] as const;
        const [{ memory: near }, { store: far }] = parts;
        const { nearTtl } = settings;
        if (near === undefined) throw unknownStore(settings.near, this.#settings, name);
        if (!(far instanceof RedisStore)) throw unknownStore(settings.far, this.#settings, name);
        return { store: new TieredStore({ name, near, far, nearTtl }), parts };
      }
    }
  }

  #memory(name: string, settings: MemorySettings): Pick<OpenStore, 'store' | 'parts' | 'memory'> {
    const { maxBytes, eviction, persist } = settings;
    // Read the context anew each time, because a store outlives a configuration and its prices.
    const costOf: CostOf = (head) => this.#context.costOf(head);
    const memory = new MemoryStore({ maxBytes, eviction, costOf });
    if (persist === undefined) return { store: memory, parts: [], memory };
    const { log } = this.#context;
    const seal = this.#sealOf(settings);
    const after = this.#handedOver;
    const file = new SnapshotFile({ name, store: memory, ...persist, seal, log, after });
    return { store: new PersistentStore(memory, file), parts: [], memory };
  }

  /** The seal of entries that are kept outside this process. */
  #sealOf({ encryptionKeys = [] }: Pick<MemorySettings, 'encryptionKeys'>): Seal {
    const isEncrypted = encryptionKeys.length > 0;
    return isEncrypted ? new Encryption(encryptionKeys) : new Signature(this.#context.secret);
  }

  /** Returns the seal for exports and imports of the named store. */
  sealOf(name: string): Seal {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings === undefined) throw unknownStore(name, this.#settings, 'llm-cache');
    return settings.type === 'tiered' ? this.sealOf(settings.far) : this.#sealOf(settings);
  }

  /** Writes the files of persisted stores that have changed. */
  async save(): Promise<void> {
    const wanted = [...this.#open.values()].filter(({ wanted: isWanted }) => isWanted);
    const stores = wanted.map(({ store }) => store);
    await Promise.all(
      stores.filter((store) => store instanceof PersistentStore).map((store) => store.save()),
    );
  }

  /** Closes the stores that are neither configured nor recently used. */
  async sweep(): Promise<void> {
    for (const [key, opened] of this.#open) {
      if (opened.wanted || this.#now() - opened.usedAt < idleMs) continue;
      this.#open.delete(key);
      // One failing close must not stop the rest.
      await opened.store.close().catch(() => {});
    }
  }

  /** Closes every store. A store that is used again starts anew. */
  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    await Promise.allSettled([...this.#open.values()].map(({ store }) => store.close()));
  }

  /** Identifies a store by its name and all that defines it, regardless of the order of the settings. */
  #keyOf(name: string): string {
    const settings = this.#settings[name];
    const parts =
      settings?.type === 'tiered' ? [this.#keyOf(settings.near), this.#keyOf(settings.far)] : [];
    const written = canonicalMembers(JSON.stringify(settings ?? {})) ?? new Map<string, string>();
    const isSealed =
      settings?.type === 'redis' || (settings?.type === 'memory' && settings.persist);
    const secret = isSealed ? [this.#context.secret] : [];
    return JSON.stringify([name, joinMembers(written), ...secret, ...parts]);
  }

  #watched(opened: OpenStore): Store {
    const { store } = opened;
    const { relay } = store;
    const used = () => {
      for (const part of [opened, ...opened.parts]) part.usedAt = this.#now();
      return store;
    };
    const getNow = store.getNow?.bind(store);
    return {
      get: (key, takesGzip) => used().get(key, takesGzip),
      ...(getNow !== undefined && {
        getNow: (key, takesGzip) => {
          used();
          return getNow(key, takesGzip);
        },
      }),
      set: (key, entry, askedAt) => used().set(key, entry, askedAt),
      delete: (key) => used().delete(key),
      purge: (filter, dryRun) => used().purge(filter, dryRun),
      list: (filter, page) => used().list(filter, page),
      ...(store.entries !== undefined && {
        entries: (filter: EntryFilter) => entriesOf(used(), filter),
      }),
      ...(store.flushed !== undefined && { flushed: async () => store.flushed?.() }),
      look: (key) => used().look(key),
      used: (key, entry) => used().used(key, entry),
      relay: relay && {
        lease: (key) => (used(), relay.lease(key)),
        follow: (key, reader) => (used(), relay.follow(key, reader)),
      },
      stats: () => store.stats(),
      close: () => store.close(),
    };
  }
}

/** Returns the settings with the default store `memory` added. */
export function storeSettings(
  settings: Readonly<Record<string, StoreSettings>>,
): Readonly<Record<string, StoreSettings>> {
  return { memory: { type: 'memory', maxBytes: 268435456, eviction: 'worth' }, ...settings };
}

/** Returns the names of the redis stores. */
export function redisStores(settings: Readonly<Record<string, StoreSettings>>): readonly string[] {
  return Object.keys(settings).filter((name) => settings[name]?.type === 'redis');
}

/** The statistics of a store that has not been opened. */
function unused(settings: StoreSettings): StoreStats {
  const { type } = settings;
  const counted = type === 'memory' ? 0 : null;
  return {
    type,
    entries: counted,
    bytes: counted,
    maxBytes: type === 'memory' ? settings.maxBytes : null,
    evictions: 0,
    errors: 0,
    droppedWrites: 0,
    healthy: true,
  };
}

/** The error for an unknown store. `where` is what names it, and `whose` describes the known stores. */
export function unknownStore(
  name: string,
  settings: Readonly<Record<string, StoreSettings>>,
  where: string,
  whose = 'that are configured',
): ConfigurationError {
  const names = Object.keys(settings);
  return new ConfigurationError(
    `${where}: "store" must be one of ${names.join(', ')} (the stores ${whose}), got ${JSON.stringify(name)}${suggestion(name, names)}`,
  );
}

/** Whether the settings contain the address of Redis, and so do not use the gateway's own. */
export function isPlaced({ url, options }: Pick<RedisSettings, 'url' | 'options'>): boolean {
  return (
    url !== undefined ||
    ['host', 'port', 'path', 'sentinels', 'cluster'].some((name) => name in options)
  );
}
