import type { Redis } from 'ioredis';
import { type CachedResponse, decodeEntry, encodeEntry } from '../entry.ts';
import type { Encryption } from './encryption.ts';
import { PurgeChannel } from './purge-channel.ts';
import { type RedisConnection, StoreUnavailable } from '../../shared/redis/connection.ts';
import { RedisRelay } from './redis-relay.ts';
import type { Relay } from './relay.ts';
import { type EntryFilter, matchesFilter, type Store, type StoreStats } from './store.ts';
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

/** How many keys one step of a purge asks for. */
const scanStep = 200;
/** Bytes that nearly every entry's head is shorter than. */
const headBytes = 4096;
/** A purge is the operator's: no request waits for it. */
const purgeTimeoutMs = 1000;

/** Entries in Redis, one key each, with its time to live: every gateway of this version or newer reads them. */
export class RedisStore implements Store {
  readonly relay: Relay | undefined;
  /** What any gateway throws out of this store. */
  readonly purges: PurgeChannel;
  readonly #options: RedisStoreOptions;
  readonly #connection: RedisConnection;
  readonly #now: () => number;
  readonly #writes: WriteQueue;
  #errors = 0;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#now = options.now ?? Date.now;
    this.#writes = new WriteQueue((write) => this.#write(write));
    this.purges = new PurgeChannel(options.connection, options.keyPrefix);
    const run = (
      script: string,
      keys: readonly string[],
      args: readonly (string | number | Uint8Array)[],
    ) =>
      this.#connection.run((client) =>
        client.callBuffer('EVAL', script, keys.length, ...keys, ...args.map(asArgument)),
      );
    this.relay = options.coalesceAcross ? new RedisRelay(run, options.keyPrefix) : undefined;
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
  async set(key: string, entry: CachedResponse): Promise<boolean> {
    const bytes = encodeEntry(entry);
    if (bytes.length > maxQueuedBytes) return false;
    const write = { name: this.#nameOf(key), bytes, expiresAt: entry.expiresAt };
    if (!this.#writes.push(write)) throw new StoreUnavailable('too many writes are on their way');
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const name = this.#nameOf(key);
    const wasOnItsWay = await this.#writes.withdraw(name);
    const wasThere = await this.#counted(this.#unlink(name));
    await this.#counted(this.purges.tell({ key }));
    return wasOnItsWay || wasThere;
  }

  async purge(filter: EntryFilter): Promise<number> {
    await this.#writes.flushed();
    let purged = 0;
    const nodes = this.#connection.nodes();
    if (nodes.length === 0) await this.#counted(this.#connection.run((client) => client.ping()));
    for (const node of this.#connection.nodes()) {
      purged += await this.#counted(this.#purgeNode(node, filter));
    }
    await this.#counted(this.purges.tell({ filter }));
    return purged;
  }

  /** How many entries there are, and how large, is Redis's to say. */
  stats(): StoreStats {
    return {
      type: 'redis',
      entries: null,
      bytes: null,
      maxBytes: null,
      evictions: 0,
      errors: this.#errors + this.#writes.failed,
      droppedWrites: this.#writes.dropped,
    };
  }

  async close(): Promise<void> {
    await this.#writes.flushed();
    this.#connection.close();
  }

  async #write({ name, bytes, expiresAt }: QueuedWrite): Promise<void> {
    const lifeMs = Math.ceil(expiresAt - this.#now());
    if (lifeMs <= 0) return;
    const stored =
      this.#options.encryption?.encrypt(name, bytes) ??
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    await this.#connection.run((client) => client.set(name, stored, 'PX', lifeMs));
  }

  async #purgeNode(node: Redis, filter: EntryFilter): Promise<number> {
    const { namespace } = filter;
    // A key begins with its namespace.
    const begin = namespace === undefined ? '' : `${encodeURIComponent(namespace)}:`;
    const pattern = `${globbed(this.#nameOf(begin))}*`;
    const needsRead = filter.model !== undefined || filter.consumer !== undefined;
    // Encrypted ones are read whole, so fewer at once.
    const step = needsRead && this.#options.encryption !== null ? 4 : 50;
    let purged = 0;
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, names] = await this.#connection.run(
        () => node.scan(cursor, 'MATCH', pattern, 'COUNT', scanStep),
        purgeTimeoutMs,
      );
      cursor = next;
      for (let at = 0; at < names.length; at += step) {
        const gone = names
          .slice(at, at + step)
          .map(async (name) =>
            !needsRead || (await this.#matches(name, filter)) ? this.#unlink(name) : false,
          );
        purged += (await Promise.all(gone)).filter(Boolean).length;
      }
    }
    return purged;
  }

  /** What cannot be read matches as well: rather thrown out than kept. */
  async #matches(name: string, filter: EntryFilter): Promise<boolean> {
    let entry: CachedResponse | undefined;
    if (this.#options.encryption === null) {
      const head = await this.#connection.run(
        (client) => client.getrangeBuffer(name, 0, headBytes - 1),
        purgeTimeoutMs,
      );
      entry = decodeEntry(head);
    }
    if (entry === undefined) {
      const bytes = await this.#connection.run((client) => client.getBuffer(name), purgeTimeoutMs);
      if (bytes === null) return false;
      entry = this.#decode(name, bytes);
    }
    return entry === undefined || matchesFilter(entry, filter);
  }

  async #unlink(name: string): Promise<boolean> {
    return (await this.#connection.run((client) => client.unlink(name), purgeTimeoutMs)) > 0;
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

/** `text` as a pattern that matches nothing else. */
function globbed(text: string): string {
  return text.replaceAll(/[*?[\]\\^]/g, '\\$&');
}
