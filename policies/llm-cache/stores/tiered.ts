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
  /** Of this store; others may share the memory store with it. */
  readonly name: string;
  /** This process's own. */
  readonly near: MemoryStore;
  /** The one that all gateways see. */
  readonly far: RedisStore;
  /** Seconds that an entry stays near. */
  readonly nearTtl: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * A near store in front of a far one. The near one is used only while this gateway hears what any
 * of them throws out.
 */
export class TieredStore implements Store {
  readonly #options: TieredStoreOptions;
  readonly #now: () => number;
  readonly #thrownOut = new PurgeLog();
  /** One for all who ask at once, for each would keep it near. */
  readonly #reads = new SingleFlight<CachedResponse | undefined>();
  #listening: PurgeListening | null = null;
  /** What is kept near under an older prefix is out of reach. */
  #emptied = 0;
  /** Counts what was thrown out, so that nothing is kept near that was read before. */
  #purges = 0;

  constructor(options: TieredStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#listen();
  }

  get relay(): Relay | undefined {
    return this.#options.far.relay;
  }

  /** Whether the near store takes part. */
  get isNearInUse(): boolean {
    return this.#listen().isHearing;
  }

  getNow(key: string, takesGzip?: boolean): CachedResponse | null {
    if (!this.isNearInUse) return null;
    const known = this.#options.near.getNow(this.#nearKey(key), takesGzip);
    // In place of an expired one another gateway may have stored a fresh one.
    return known !== undefined && known.freshUntil > this.#now() ? known : null;
  }

  async get(key: string, takesGzip?: boolean): Promise<CachedResponse | undefined> {
    const known = this.getNow(key, takesGzip);
    if (known !== null) return known;
    // Decoded, for it is kept near.
    return this.#reads.run(key, async () => {
      const purges = this.#purges;
      const entry = await this.#options.far.get(key);
      if (entry !== undefined) await this.#keepNear(key, entry, purges);
      return entry;
    });
  }

  /** Nothing comes near for that. */
  entries(filter: EntryFilter): AsyncIterable<StoredEntry> {
    return entriesOf(this.#options.far, filter);
  }

  flushed(): Promise<void> {
    return this.#options.far.flushed();
  }

  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    const purges = this.#purges;
    const isFar = await this.#options.far.set(key, entry, askedAt);
    this.#reads.forget(key);
    if (!this.#thrownOut.covers(key, entry, askedAt)) await this.#keepNear(key, entry, purges);
    return isFar;
  }

  async delete(key: string): Promise<boolean> {
    // Near again afterwards, for it may have been read in the meantime; the far store tells the others.
    await this.#throwOut({ key });
    const wasThere = await this.#options.far.delete(key);
    await this.#throwOut({ key });
    return wasThere;
  }

  async purge(filter: EntryFilter, dryRun = false): Promise<number> {
    if (dryRun) return this.#options.far.purge(filter, dryRun);
    await this.#throwOut({ filter });
    const purged = await this.#options.far.purge(filter);
    await this.#throwOut({ filter });
    return purged;
  }

  /** Whatever is near is far as well. */
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

  /** The near and the far store are others' as well, and stay open. */
  async close(): Promise<void> {
    this.#listening?.stop();
    this.#listening = null;
    this.#empty();
  }

  /** Keeps the entry near unless something was thrown out since it was read, after `purges`. */
  async #keepNear(key: string, entry: CachedResponse, purges: number): Promise<void> {
    if (!this.isNearInUse || purges !== this.#purges) return;
    const until = this.#now() + this.#options.nearTtl * 1000;
    await this.#options.near.keep(this.#nearKey(key), entry, Math.min(entry.expiresAt, until));
  }

  #listen(): PurgeListening {
    this.#listening ??= this.#options.far.purges.listen({
      purged: (purge) => void this.#throwOut(purge),
      missed: () => this.#empty(),
    });
    return this.#listening;
  }

  async #throwOut(purge: Purge): Promise<void> {
    const { near } = this.#options;
    this.#outdate();
    this.#thrownOut.add(purge);
    if ('key' in purge) await near.delete(this.#nearKey(purge.key));
    else await near.purge(purge.filter, false, this.#nearKey(''));
  }

  #empty(): void {
    const before = this.#nearKey('');
    this.#emptied++;
    this.#outdate();
    void this.#options.near.purge({}, false, before);
  }

  /** Nothing that is being read is kept near, or given to who asks from now on. */
  #outdate(): void {
    this.#purges++;
    this.#reads.forgetAll();
  }

  #nearKey(key: string): string {
    return `${this.#options.name} ${this.#emptied} ${key}`;
  }
}
