import type { Cluster, Redis } from 'ioredis';
import type { CachedResponse } from '../entry.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { Relay } from './relay.ts';
import type { EntryFilter, Store, StoreStats } from './store.ts';

export interface TieredStoreOptions {
  /** This process's own. */
  readonly near: Store;
  /** The one that all gateways see, and the connection that it has. */
  readonly far: Store;
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  /** Seconds that an entry stays near. */
  readonly nearTtl: number;
  readonly now?: () => number;
}

/** A near store in front of a far one. What is thrown out of one gateway's is thrown out of every one's. */
export class TieredStore implements Store {
  readonly #options: TieredStoreOptions;
  readonly #now: () => number;
  readonly #channel: string;
  #subscriber: Redis | Cluster | null = null;

  constructor(options: TieredStoreOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#channel = `${options.keyPrefix}purge`;
    this.#subscribe();
  }

  get relay(): Relay | undefined {
    return this.#options.far.relay;
  }

  async get(key: string): Promise<CachedResponse | undefined> {
    const { near, far } = this.#options;
    this.#subscribe();
    const known = await near.get(key);
    if (known !== undefined) return known;
    const entry = await far.get(key);
    if (entry !== undefined) await this.#keepNear(key, entry);
    return entry;
  }

  /** True when either keeps it: a far store that does not answer takes nothing from the near one. */
  async set(key: string, entry: CachedResponse): Promise<boolean> {
    this.#subscribe();
    const isNear = await this.#keepNear(key, entry);
    try {
      return (await this.#options.far.set(key, entry)) || isNear;
    } catch (error) {
      if (isNear) return true;
      throw error;
    }
  }

  async delete(key: string): Promise<boolean> {
    const { near, far } = this.#options;
    const wasNear = await near.delete(key);
    const wasFar = await far.delete(key);
    await this.#tell({ key });
    return wasNear || wasFar;
  }

  async purge(filter: EntryFilter): Promise<number> {
    const { near, far } = this.#options;
    const purged = Math.max(await near.purge(filter), await far.purge(filter));
    await this.#tell({ filter });
    return purged;
  }

  stats(): StoreStats {
    const near = this.#options.near.stats();
    const far = this.#options.far.stats();
    return {
      ...near,
      type: 'tiered',
      errors: near.errors + far.errors,
      droppedWrites: near.droppedWrites + far.droppedWrites,
    };
  }

  async close(): Promise<void> {
    this.#subscriber?.disconnect();
    this.#subscriber = null;
    await this.#options.near.close();
    await this.#options.far.close();
  }

  #keepNear(key: string, entry: CachedResponse): Promise<boolean> {
    const until = this.#now() + this.#options.nearTtl * 1000;
    return this.#options.near.set(key, { ...entry, expiresAt: Math.min(entry.expiresAt, until) });
  }

  async #tell(message: { key: string } | { filter: EntryFilter }): Promise<void> {
    const { connection } = this.#options;
    await connection.run((client) => client.publish(this.#channel, JSON.stringify(message)));
  }

  /** Hears what other gateways throw out. While it could not hear, it may have missed something. */
  #subscribe(): void {
    if (this.#subscriber !== null) return;
    const { near, connection } = this.#options;
    const subscriber = connection.duplicate();
    this.#subscriber = subscriber;
    const forget = () => void near.close();
    subscriber.on('ready', () => {
      subscriber.subscribe(this.#channel).then(forget, forget);
    });
    subscriber.on('close', forget);
    subscriber.on('message', (_channel: string, text: string) => void this.#hear(text));
  }

  async #hear(text: string): Promise<void> {
    const { near } = this.#options;
    try {
      const message = JSON.parse(text) as { key?: unknown; filter?: EntryFilter };
      if (typeof message.key === 'string') await near.delete(message.key);
      else await near.purge({ ...message.filter });
    } catch {
      await near.close();
    }
  }
}
