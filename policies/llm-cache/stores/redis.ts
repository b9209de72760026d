import { wasStoredWithin } from './purge-log.ts';
import { type RedisConnection, StoreUnavailable } from '../../shared/redis/connection.ts';
import type { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import { type CachedResponse, decodeEntry, decodeHead, encodeEntry } from '../entry.ts';
import { EntryCount } from './entry-count.ts';
import { Envelope, maxHeadBytes } from './envelope.ts';
import { PurgeChannel } from './purge-channel.ts';
import { type FoundHead, RedisReader } from './redis-reader.ts';
import { RedisRelay } from './redis-relay.ts';
import { RedisScan } from './redis-scan.ts';
import type { Relay } from './relay.ts';
import type { Seal } from './seal.ts';
import { storedBody } from './stored-body.ts';
import {
  type EntryFilter,
  type ListedEntry,
  NoRoom,
  type Page,
  type PageRequest,
  type Store,
  type StoreStats,
} from './store.ts';
import { UseCounts } from './use-counts.ts';
import { maxQueuedBytes, type QueuedWrite, WriteQueue } from './write-queue.ts';

export interface RedisStoreOptions {
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  /** Seals all that this store writes, and opens what gateways with the same key wrote. */
  readonly seal: Seal;
  /** Charged for the bodies that the store reads. */
  readonly bodies: SharedBodies;
  /** Whether gateways share upstream calls under way. */
  readonly coalesceAcross: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** A store in Redis, with one key per entry, which expires with it. Gateways of this version and newer can read the entries. */
export class RedisStore implements Store {
  readonly relay: Relay | undefined;
  /** Announces what any gateway purges from this store. */
  readonly purges: PurgeChannel;
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #now: () => number;
  readonly #envelope: Envelope;
  readonly #reader: RedisReader;
  readonly #writes: WriteQueue;
  readonly #uses: UseCounts;
  readonly #scan: RedisScan;
  readonly #size: EntryCount;
  readonly #relay: RedisRelay | null;
  #errors = 0;

  constructor(options: RedisStoreOptions) {
    const { connection, keyPrefix, seal, bodies } = options;
    this.#connection = connection;
    this.#prefix = `${keyPrefix}entry:`;
    this.#now = options.now ?? Date.now;
    this.#envelope = new Envelope(seal);
    const damaged = () => void this.#errors++;
    this.#reader = new RedisReader({ connection, envelope: this.#envelope, bodies, damaged });
    this.#writes = new WriteQueue((write) => this.#write(write));
    this.#uses = new UseCounts(connection, keyPrefix);
    this.#scan = new RedisScan({
      connection,
      prefix: this.#prefix,
      reader: this.#reader,
      uses: this.#uses,
    });
    this.#size = new EntryCount((signal) => this.#scan.count(signal));
    this.purges = new PurgeChannel(connection, keyPrefix);
    this.#relay = options.coalesceAcross
      ? new RedisRelay({ connection, keyPrefix, seal, budget: bodies.budget })
      : null;
    this.relay = this.#relay ?? undefined;
  }

  async get(key: string, takesGzip = false): Promise<CachedResponse | undefined> {
    const name = this.#nameOf(key);
    const queued = this.#queued(name);
    if (queued !== undefined) return decodeEntry(queued.bytes);
    return this.#counted(this.#reader.get(name, takesGzip));
  }

  /** Resolves when the write is queued, so that no request waits for Redis. Rejects if the queue is full. */
  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    const bytes = encodeEntry(entry);
    const isTooLarge = bytes.length > maxQueuedBytes;
    if (isTooLarge || bytes.length - entry.body.length > maxHeadBytes) return false;
    const write = { name: this.#nameOf(key), bytes, expiresAt: entry.expiresAt, askedAt };
    if (!this.#writes.push(write)) throw new StoreUnavailable('too many writes are queued');
    return true;
  }

  flushed(): Promise<void> {
    return this.#writes.flushed();
  }

  async delete(key: string): Promise<boolean> {
    const name = this.#nameOf(key);
    const wasQueued = await this.#writes.withdraw(name);
    await this.#counted(this.purges.note({ key }));
    const existed = await this.#counted(this.#scan.unlink(name));
    this.#reader.forget(name);
    await this.#counted(this.purges.tell({ key }));
    return wasQueued || existed;
  }

  async purge(filter: EntryFilter, dryRun = false): Promise<number> {
    await this.#writes.flushed();
    if (!dryRun) {
      await this.#counted(this.purges.note({ filter }));
      // Wait for writes that passed the purge check before the note.
      await this.#writes.flushed();
    }
    const purged = await this.#counted(this.#scan.purge(filter, dryRun));
    this.#reader.forget();
    if (!dryRun) await this.#counted(this.purges.tell({ filter }));
    return purged;
  }

  async list(filter: EntryFilter, page: PageRequest): Promise<Page> {
    await this.#writes.flushed();
    await this.#uses.flush();
    return this.#counted(this.#scan.list(filter, page));
  }

  async look(key: string): Promise<ListedEntry | undefined> {
    await this.#uses.flush();
    const name = this.#nameOf(key);
    const queued = this.#queued(name);
    const found = await this.#counted(
      queued === undefined ? this.#reader.head(name) : Promise.resolve(headIn(queued.bytes)),
    );
    return found ? { key, ...found, hits: await this.#uses.of(key, found.head) } : undefined;
  }

  used(key: string, entry: CachedResponse): void {
    this.#uses.add(key, entry);
  }

  /** Counts the entries in the background, for a later call, and estimates their bytes from a sample. */
  stats(): StoreStats {
    const size = this.#size.latest();
    return {
      type: 'redis',
      entries: size?.entries ?? null,
      bytes: size?.bytes ?? null,
      maxBytes: null,
      evictions: 0,
      errors: this.#errors + this.#writes.failed,
      droppedWrites: this.#writes.dropped,
      healthy: !this.#connection.isBroken,
    };
  }

  async close(): Promise<void> {
    this.#relay?.close();
    await this.#writes.flushed();
    await this.#uses.flush();
    // A count under way would reconnect.
    this.#size.stop();
    this.#connection.close();
  }

  /** Returns the queued write under the name, unless it has expired. */
  #queued(name: string): QueuedWrite | undefined {
    const write = this.#writes.find(name);
    return write !== undefined && write.expiresAt > this.#now() ? write : undefined;
  }

  async #write({ name, bytes, expiresAt, askedAt = 0 }: QueuedWrite): Promise<void> {
    const entry = decodeEntry(bytes);
    const lifeMs = Math.ceil(expiresAt - this.#now());
    if (entry === undefined || lifeMs <= 0 || (await this.#isOutdated(name, entry, askedAt)))
      return;
    const sealed = this.#envelope.wrap(name, entry, await storedBody(entry.body));
    try {
      await this.#connection.run((client) => client.set(name, sealed, 'PX', lifeMs));
    } finally {
      // A read under way may return the older entry.
      this.#reader.forget(name);
    }
    // Another gateway may have purged meanwhile, without finding the entry.
    if (await this.#isPurged(name, entry, askedAt)) await this.#scan.unlink(name);
  }

  /** Whether the entry was purged, or replaced by a newer one, since the request. */
  async #isOutdated(name: string, entry: CachedResponse, askedAt: number): Promise<boolean> {
    const agoMs = performance.now() - askedAt;
    const [isPurged, there, leftMs] = await Promise.all([
      this.#isPurged(name, entry, askedAt),
      this.#reader.head(name),
      this.#connection.run((client) => client.pttl(name)),
    ]);
    return (
      isPurged ||
      (there !== null && there !== undefined && wasStoredWithin(there.head, leftMs, agoMs))
    );
  }

  #isPurged(name: string, entry: CachedResponse, askedAt: number): Promise<boolean> {
    return this.purges.covers(name.slice(this.#prefix.length), entry, askedAt);
  }

  async #counted<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      if (!(error instanceof NoRoom)) this.#errors++;
      throw error;
    }
  }

  #nameOf(key: string): string {
    return `${this.#prefix}${key}`;
  }
}

function headIn(bytes: Uint8Array): FoundHead | undefined {
  const decoded = decodeHead(bytes);
  return decoded && { head: decoded.head, bytes: bytes.length - decoded.bodyStart };
}
