import type { CachedResponse } from '../entry.ts';
import { entriesOf } from './entries-of.ts';
import type { MemoryStore } from './memory.ts';
import type { PurgeListening } from './purge-channel.ts';
import { type Purge, PurgeLog } from './purge-log.ts';
import type { RedisStore } from './redis.ts';
import type { Relay } from './relay.ts';
import { SingleFlight } from './single-flight.ts';
import type {
  EntryFilter,
  ListedEntry,
  Page,
  PageRequest,
  Store,
  StoredEntry,
  StoreStats,
} from './store.ts';

export interface TieredStoreOptions {
  /** The name of this store. It separates its keys from others' in a shared memory store. */
  readonly name: string;
  /** The store in this process. */
  readonly near: MemoryStore;
  /** The store that all gateways share. */
  readonly far: RedisStore;
  /** How long an entry stays in the near store, in seconds. */
  readonly nearTtl: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * A near store in front of a far one. The near store is used only while this gateway receives the
 * purges of all gateways.
 */
export class TieredStore implements Store {
  readonly #options: TieredStoreOptions;
  readonly #now: () => number;
  readonly #purgeLog = new PurgeLog();
  /** Concurrent reads of a key share one, because each would store its copy near. */
  readonly #reads = new SingleFlight<CachedResponse | undefined>();
  #listening: PurgeListening | null = null;
  /** Part of the near keys. Incrementing it makes all older copies unreachable. */
  #generation = 0;
  /** Counts purges, so that an entry read before a purge is not stored near after it. */
  #purgeCount = 0;

  constructor(options: TieredStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#listen();
  }

  get relay(): Relay | undefined {
    return this.#options.far.relay;
  }

  /** Whether the near store is in use. */
  get isNearInUse(): boolean {
    return this.#listen().isHearing;
  }

  getNow(key: string, takesGzip?: boolean): CachedResponse | null {
    if (!this.isNearInUse) return null;
    const known = this.#options.near.getNow(this.#nearKey(key), takesGzip);
    // If the copy is no longer fresh, another gateway may have stored a fresh entry.
    return known !== undefined && known.freshUntil > this.#now() ? known : null;
  }

  async get(key: string, takesGzip?: boolean): Promise<CachedResponse | undefined> {
    const known = this.getNow(key, takesGzip);
    if (known !== null) return known;
    // Read it decoded, because the near store keeps it.
    return this.#reads.run(key, async () => {
      const purges = this.#purgeCount;
      const entry = await this.#options.far.get(key);
      if (entry !== undefined) await this.#keepNear(key, entry, purges);
      return entry;
    });
  }

  /** Does not copy the entries into the near store. */
  entries(filter: EntryFilter): AsyncIterable<StoredEntry> {
    return entriesOf(this.#options.far, filter);
  }

  flushed(): Promise<void> {
    return this.#options.far.flushed();
  }

  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    const purges = this.#purgeCount;
    const isFar = await this.#options.far.set(key, entry, askedAt);
    this.#reads.forget(key);
    if (!this.#purgeLog.covers(key, entry, askedAt)) await this.#keepNear(key, entry, purges);
    return isFar;
  }

  async delete(key: string): Promise<boolean> {
    // Purge near again afterwards: the entry may have been read meanwhile. The far store tells other gateways.
    await this.#purgeNear({ key });
    const existed = await this.#options.far.delete(key);
    await this.#purgeNear({ key });
    return existed;
  }

  async purge(filter: EntryFilter, dryRun = false): Promise<number> {
    if (dryRun) return this.#options.far.purge(filter, dryRun);
    await this.#purgeNear({ filter });
    const purged = await this.#options.far.purge(filter);
    await this.#purgeNear({ filter });
    return purged;
  }

  /** Lists the far store, which has all entries of the near one. */
  list(filter: EntryFilter, page: PageRequest): Promise<Page> {
    return this.#options.far.list(filter, page);
  }

  look(key: string): Promise<ListedEntry | undefined> {
    return this.#options.far.look(key);
  }

  used(key: string, entry: CachedResponse): void {
    this.#options.far.used(key, entry);
  }

  stats(): StoreStats {
    const near = this.#options.near.stats();
    const far = this.#options.far.stats();
    return {
      ...near,
      type: 'tiered',
      errors: near.errors + far.errors,
      healthy: far.healthy,
      droppedWrites: near.droppedWrites + far.droppedWrites,
    };
  }

  /** Leaves the near and the far store open, because other stores may use them. */
  async close(): Promise<void> {
    this.#listening?.stop();
    this.#listening = null;
    this.#empty();
  }

  /** Stores the entry near, unless a purge has come since it was read, when the count was `purges`. */
  async #keepNear(key: string, entry: CachedResponse, purges: number): Promise<void> {
    if (!this.isNearInUse || purges !== this.#purgeCount) return;
    const until = this.#now() + this.#options.nearTtl * 1000;
    await this.#options.near.keep(this.#nearKey(key), entry, Math.min(entry.expiresAt, until));
  }

  #listen(): PurgeListening {
    this.#listening ??= this.#options.far.purges.listen({
      purged: (purge) => void this.#purgeNear(purge),
      missed: () => this.#empty(),
    });
    return this.#listening;
  }

  async #purgeNear(purge: Purge): Promise<void> {
    const { near } = this.#options;
    this.#invalidateReads();
    this.#purgeLog.add(purge);
    if ('key' in purge) await near.delete(this.#nearKey(purge.key));
    else await near.purge(purge.filter, false, this.#nearKey(''));
  }

  #empty(): void {
    const before = this.#nearKey('');
    this.#generation++;
    this.#invalidateReads();
    void this.#options.near.purge({}, false, before);
  }

  /** Reads under way are neither stored near nor shared with later requests. */
  #invalidateReads(): void {
    this.#purgeCount++;
    this.#reads.forgetAll();
  }

  #nearKey(key: string): string {
    return `${this.#options.name} ${this.#generation} ${key}`;
  }
}
