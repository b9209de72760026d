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
  /** Seals all that this store writes, and opens what gateways with the same key have written. */
  readonly seal: Seal;
  /** Where the bodies that it reads are charged. */
  readonly bodies: SharedBodies;
  /** Whether gateways share the calls under way. */
  readonly coalesceAcross: boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Entries in Redis, one key each, with its time to live: every gateway of this version or newer reads them. */
export class RedisStore implements Store {
  readonly relay: Relay | undefined;
  /** What any gateway throws out of this store. */
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
    const onItsWay = this.#onItsWay(name);
    if (onItsWay !== undefined) return decodeEntry(onItsWay.bytes);
    return this.#counted(this.#reader.get(name, takesGzip));
  }

  /** Resolves when the entry is on its way, rejects when too much is; no request waits for its arrival. */
  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    const bytes = encodeEntry(entry);
    const isTooLarge = bytes.length > maxQueuedBytes;
    if (isTooLarge || bytes.length - entry.body.length > maxHeadBytes) return false;
    const write = { name: this.#nameOf(key), bytes, expiresAt: entry.expiresAt, askedAt };
    if (!this.#writes.push(write)) throw new StoreUnavailable('too many writes are on their way');
    return true;
  }

  flushed(): Promise<void> {
    return this.#writes.flushed();
  }

  async delete(key: string): Promise<boolean> {
    const name = this.#nameOf(key);
    const wasOnItsWay = await this.#writes.withdraw(name);
    await this.#counted(this.purges.note({ key }));
    const wasThere = await this.#counted(this.#scan.unlink(name));
    this.#reader.forget(name);
    await this.#counted(this.purges.tell({ key }));
    return wasOnItsWay || wasThere;
  }

  async purge(filter: EntryFilter, dryRun = false): Promise<number> {
    await this.#writes.flushed();
    if (!dryRun) {
      await this.#counted(this.purges.note({ filter }));
      // What had been found in order before the note.
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
    const onItsWay = this.#onItsWay(name);
    const found = await this.#counted(
      onItsWay === undefined ? this.#reader.head(name) : Promise.resolve(headIn(onItsWay.bytes)),
    );
    return found ? { key, ...found, hits: await this.#uses.of(key, found.head) } : undefined;
  }

  used(key: string, entry: CachedResponse): void {
    this.#uses.add(key, entry);
  }

  /** Entries are counted in the background, for the next call; their bytes are reckoned from a sample. */
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
    // It would connect anew.
    this.#size.stop();
    this.#connection.close();
  }

  /** What is on its way under that name, and has not expired. */
  #onItsWay(name: string): QueuedWrite | undefined {
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
      // What was read before may be older.
      this.#reader.forget(name);
    }
    // A purge by another gateway may have come between, and not have found it.
    if (await this.#isThrownOut(name, entry, askedAt)) await this.#scan.unlink(name);
  }

  /** Whether it was thrown out, or replaced by one that is newer, since it was asked for. */
  async #isOutdated(name: string, entry: CachedResponse, askedAt: number): Promise<boolean> {
    const agoMs = performance.now() - askedAt;
    const [isThrownOut, there, leftMs] = await Promise.all([
      this.#isThrownOut(name, entry, askedAt),
      this.#reader.head(name),
      this.#connection.run((client) => client.pttl(name)),
    ]);
    return (
      isThrownOut ||
      (there !== null && there !== undefined && wasStoredWithin(there.head, leftMs, agoMs))
    );
  }

  #isThrownOut(name: string, entry: CachedResponse, askedAt: number): Promise<boolean> {
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
