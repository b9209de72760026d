import { type CachedResponse, decodeEntry, decodeHead, encodeEntry } from '../entry.ts';
import type { Encryption } from './encryption.ts';
import { EntryCount } from './entry-count.ts';
import { PurgeChannel } from './purge-channel.ts';
import { wasStoredWithin } from './purge-log.ts';
import { type RedisConnection, StoreUnavailable } from '../../shared/redis/connection.ts';
import { RedisRelay } from './redis-relay.ts';
import { RedisScan } from './redis-scan.ts';
import type { Relay } from './relay.ts';
import {
  type EntryFilter,
  type ListedEntry,
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
  /** Null keeps entries as they are. */
  readonly encryption: Encryption | null;
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
  readonly #options: RedisStoreOptions;
  readonly #connection: RedisConnection;
  readonly #now: () => number;
  readonly #writes: WriteQueue;
  readonly #uses: UseCounts;
  readonly #scan: RedisScan;
  readonly #size: EntryCount;
  #errors = 0;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#now = options.now ?? Date.now;
    this.#writes = new WriteQueue((write) => this.#write(write));
    this.#uses = new UseCounts(options.connection, options.keyPrefix);
    this.#scan = new RedisScan({
      connection: options.connection,
      prefix: this.#nameOf(''),
      isEncrypted: options.encryption !== null,
      decode: (name, bytes) => this.#decode(name, bytes),
      uses: this.#uses,
    });
    this.#size = new EntryCount((signal) => this.#scan.count(signal), this.#now);
    this.purges = new PurgeChannel(options.connection, options.keyPrefix);
    const run = (
      script: string,
      keys: readonly string[],
      args: readonly (string | number | Uint8Array)[],
    ) =>
      this.#connection.run((client) =>
        client.callBuffer('EVAL', script, keys.length, ...keys, ...args.map(asArgument)),
      );
    this.relay = options.coalesceAcross
      ? new RedisRelay(run, options.keyPrefix, options.encryption)
      : undefined;
  }

  async get(key: string): Promise<CachedResponse | undefined> {
    const name = this.#nameOf(key);
    const onItsWay = this.#writes.find(name);
    if (onItsWay !== undefined && onItsWay.expiresAt > this.#now()) {
      return decodeEntry(onItsWay.bytes);
    }
    const bytes = await this.#counted(this.#connection.run((client) => client.getBuffer(name)));
    return bytes === null ? undefined : this.#decode(name, bytes);
  }

  /** Resolves when the entry is on its way, rejects when too much is; nobody waits for its arrival. */
  async set(key: string, entry: CachedResponse, askedAt = performance.now()): Promise<boolean> {
    const bytes = encodeEntry(entry);
    if (bytes.length > maxQueuedBytes) return false;
    const write = { name: this.#nameOf(key), bytes, expiresAt: entry.expiresAt, askedAt };
    if (!this.#writes.push(write)) throw new StoreUnavailable('too many writes are on their way');
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const name = this.#nameOf(key);
    const wasOnItsWay = await this.#writes.withdraw(name);
    await this.#counted(this.purges.note({ key }));
    const wasThere = await this.#counted(this.#scan.unlink(name));
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
    const entry = await this.get(key);
    if (entry === undefined) return undefined;
    const { body, ...head } = entry;
    return { key, head, bytes: body.length, hits: await this.#uses.of(key, head) };
  }

  used(key: string, entry: CachedResponse): void {
    this.#uses.add(key, entry);
  }

  /** Entries are counted in the background, for whoever asks again; their bytes are reckoned from a sample. */
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
    await this.#writes.flushed();
    await this.#uses.flush();
    // It would connect anew.
    this.#size.stop();
    this.#connection.close();
  }

  async #write({ name, bytes, expiresAt, askedAt = 0 }: QueuedWrite): Promise<void> {
    const lifeMs = Math.ceil(expiresAt - this.#now());
    if (lifeMs <= 0 || (await this.#isOutdated(name, bytes, askedAt))) return;
    const stored =
      this.#options.encryption?.encrypt(name, bytes) ??
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    await this.#connection.run((client) => client.set(name, stored, 'PX', lifeMs));
    // A purge by another gateway may have come between, and not have found it.
    if (await this.#isThrownOut(name, bytes, askedAt)) await this.#scan.unlink(name);
  }

  /** Whether it was thrown out, or replaced by one that is newer, since it was asked for. */
  async #isOutdated(name: string, bytes: Uint8Array, askedAt: number): Promise<boolean> {
    const agoMs = performance.now() - askedAt;
    const [isThrownOut, there, leftMs] = await Promise.all([
      this.#isThrownOut(name, bytes, askedAt),
      this.#scan.headOf(name),
      this.#connection.run((client) => client.pttl(name)),
    ]);
    return isThrownOut || (there !== undefined && wasStoredWithin(there, leftMs, agoMs));
  }

  async #isThrownOut(name: string, bytes: Uint8Array, askedAt: number): Promise<boolean> {
    const head = decodeHead(bytes)?.head;
    const key = name.slice(this.#nameOf('').length);
    return head !== undefined && (await this.purges.covers(key, head, askedAt));
  }

  async #counted<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      this.#errors++;
      throw error;
    }
  }

  #decode(name: string, bytes: Buffer): CachedResponse | undefined {
    const { encryption } = this.#options;
    const plain = encryption === null ? bytes : encryption.decrypt(name, bytes);
    return plain && decodeEntry(plain);
  }

  #nameOf(key: string): string {
    return `${this.#options.keyPrefix}entry:${key}`;
  }
}

function asArgument(value: string | number | Uint8Array): string | number | Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}
