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

interface Kept {
  readonly store: Store;
  /** The stores that it is made of. */
  readonly parts: readonly Kept[];
  readonly connection?: RedisConnection;
  /** Of a memory store. */
  readonly memory?: MemoryStore;
  wanted: boolean;
  usedAt: number;
}

/** What stores need of the gateway. */
export interface StoreContext {
  /** What the gateway itself reaches Redis with. */
  readonly gatewayRedis: Readonly<Record<string, unknown>>;
  /** The operator's `scopeSecret`: with it gateways know what one of them has written. */
  readonly secret: string;
  /** Where the bodies that stores read are charged. */
  readonly bodies: SharedBodies;
  /** What a stored answer costs at list price, in USD; null where that is not known. */
  readonly costOf: CostOf;
  readonly log: Log;
}

/** Where others may keep something beside a store's entries. */
export interface RedisPlace {
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
}

const silent: Log = { info() {}, warn() {}, error() {} };

const idleMs = 5 * 60_000;
const sweepMs = 60_000;

/**
 * The named stores, kept across reloads of the configuration. A reload that fails leaves the old
 * pipelines serving, and nothing says so: a store that is no longer wanted is closed only when
 * no step has used it for some minutes.
 */
export class StoreRegistry {
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;
  readonly #sweeping: NodeJS.Timeout;
  #settings: Readonly<Record<string, StoreSettings>> = {};
  /** When files of stores that are wanted no more may be read by others. */
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

  /** The stores that a configuration names; `memory` exists even when nothing is said. */
  configure(
    settings: Readonly<Record<string, StoreSettings>>,
    context: Partial<StoreContext> = {},
  ): void {
    this.#context = { ...this.#context, ...context };
    this.#settings = storeSettings(settings);
    const wanted = new Set(Object.keys(this.#settings).map((name) => this.#keyOf(name)));
    const handed: Promise<void>[] = [];
    for (const [key, kept] of this.#kept) {
      const { store } = kept;
      const isWanted = wanted.has(key);
      if (store instanceof PersistentStore && isWanted !== kept.wanted)
        handed.push(store.owns(isWanted));
      kept.wanted = isWanted;
    }
    this.#handedOver = Promise.all(handed);
    // What is in a file is read before the first request asks for it.
    for (const [name, store] of Object.entries(this.#settings)) {
      if (store.type === 'memory' && store.persist !== undefined) this.#keep(name);
    }
  }

  /** The store of that name, as it is configured now. Throws a ConfigurationError where there is none. */
  open(name: string): Store {
    return this.#watched(this.#keep(name));
  }

  /** Of the configuration that is in force. */
  get names(): readonly string[] {
    return Object.keys(this.#settings);
  }

  #keep(name: string): Kept {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings === undefined) throw unknownStore(name, this.#settings, 'llm-cache');
    const key = this.#keyOf(name);
    let kept = this.#kept.get(key);
    if (kept === undefined) {
      kept = { ...this.#make(name, settings), wanted: true, usedAt: this.#now() };
      this.#kept.set(key, kept);
    }
    return kept;
  }

  /** What there is to tell of every store that is configured, used or not. */
  stats(): Readonly<Record<string, StoreStats>> {
    const all = Object.entries(this.#settings).map(([name, settings]) => {
      const kept = this.#kept.get(this.#keyOf(name));
      return [name, kept?.store.stats() ?? unused(settings)] as const;
    });
    return Object.fromEntries(all);
  }

  /** Every store that has entries of its own, once: a redis store through the tiered one that stands before it. */
  entryStores(): readonly (readonly [name: string, store: Store])[] {
    const throughOf = new Map<string, string>();
    for (const [name, settings] of Object.entries(this.#settings)) {
      if (settings.type === 'tiered') throughOf.set(settings.far, name);
    }
    return Object.entries(this.#settings)
      .filter(([, { type }]) => type !== 'tiered')
      .map(([name]) => [name, this.open(throughOf.get(name) ?? name)] as const);
  }

  /** The Redis of a redis or tiered store; null where there is no such store. */
  placeOf(name: string): RedisPlace | null {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings?.type === 'tiered') return this.placeOf(settings.far);
    if (settings?.type !== 'redis') return null;
    const { connection } = this.#keep(name);
    return connection === undefined ? null : { connection, keyPrefix: settings.keyPrefix };
  }

  /** The connection of a redis store, or of the only one there is. Throws where that is none. */
  redisOf(name = redisStores(this.#settings)[0]): RedisConnection {
    const place = name === undefined ? null : this.placeOf(name);
    if (place === null) throw new ConfigurationError(`there is no redis store "${name}"`);
    return place.connection;
  }

  /** The only place that knows every kind of store. */
  #make(
    name: string,
    settings: StoreSettings,
  ): Pick<Kept, 'store' | 'parts' | 'connection' | 'memory'> {
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
        const parts = [this.#keep(settings.near), this.#keep(settings.far)] as const;
        const [{ memory: near }, { store: far }] = parts;
        const { nearTtl } = settings;
        if (near === undefined) throw unknownStore(settings.near, this.#settings, name);
        if (!(far instanceof RedisStore)) throw unknownStore(settings.far, this.#settings, name);
        return { store: new TieredStore({ name, near, far, nearTtl }), parts };
      }
    }
  }

  #memory(name: string, settings: MemorySettings): Pick<Kept, 'store' | 'parts' | 'memory'> {
    const { maxBytes, eviction, persist } = settings;
    // The prices of the day: a store outlives a configuration.
    const costOf: CostOf = (head) => this.#context.costOf(head);
    const memory = new MemoryStore({ maxBytes, eviction, costOf });
    if (persist === undefined) return { store: memory, parts: [], memory };
    const { log } = this.#context;
    const seal = this.#sealOf(settings);
    const after = this.#handedOver;
    const file = new SnapshotFile({ name, store: memory, ...persist, seal, log, after });
    return { store: new PersistentStore(memory, file), parts: [], memory };
  }

  /** Who may have written an entry that comes from elsewhere. */
  #sealOf({ encryptionKeys = [] }: Pick<MemorySettings, 'encryptionKeys'>): Seal {
    const isEncrypted = encryptionKeys.length > 0;
    return isEncrypted ? new Encryption(encryptionKeys) : new Signature(this.#context.secret);
  }

  /** What the entries of the store of that name are exported and imported under. */
  sealOf(name: string): Seal {
    const settings = Object.hasOwn(this.#settings, name) ? this.#settings[name] : undefined;
    if (settings === undefined) throw unknownStore(name, this.#settings, 'llm-cache');
    return settings.type === 'tiered' ? this.sealOf(settings.far) : this.#sealOf(settings);
  }

  /** Writes what is kept in files, where it has changed. */
  async save(): Promise<void> {
    const wanted = [...this.#kept.values()].filter(({ wanted: isWanted }) => isWanted);
    const stores = wanted.map(({ store }) => store);
    await Promise.all(
      stores.filter((store) => store instanceof PersistentStore).map((store) => store.save()),
    );
  }

  /** Closes what no configuration names and no request uses. */
  async sweep(): Promise<void> {
    for (const [key, kept] of this.#kept) {
      if (kept.wanted || this.#now() - kept.usedAt < idleMs) continue;
      this.#kept.delete(key);
      // One failing close must not stop the rest.
      await kept.store.close().catch(() => {});
    }
  }

  /** Lets go of every store; one that is used again starts anew. */
  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    await Promise.allSettled([...this.#kept.values()].map(({ store }) => store.close()));
  }

  /** A store by its name and all that decides what it is; the order in which that was written does not. */
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

  #watched(kept: Kept): Store {
    const { store } = kept;
    const { relay } = store;
    const used = () => {
      for (const one of [kept, ...kept.parts]) one.usedAt = this.#now();
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

/** `settings` with what exists without being named. */
export function storeSettings(
  settings: Readonly<Record<string, StoreSettings>>,
): Readonly<Record<string, StoreSettings>> {
  return { memory: { type: 'memory', maxBytes: 268435456, eviction: 'worth' }, ...settings };
}

/** The names of the stores that are a Redis of their own. */
export function redisStores(settings: Readonly<Record<string, StoreSettings>>): readonly string[] {
  return Object.keys(settings).filter((name) => settings[name]?.type === 'redis');
}

/** Of a store that has not been opened. */
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

/** `whose` says where stores are configured, for that is not where this one is asked for. */
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

/** Whether the settings themselves say where Redis is. */
export function isPlaced({ url, options }: Pick<RedisSettings, 'url' | 'options'>): boolean {
  return (
    url !== undefined ||
    ['host', 'port', 'path', 'sentinels', 'cluster'].some((name) => name in options)
  );
}
