import { type CachedResponse, decodeEntry, encodeEntry } from '../entry.ts';
import type { Encryption } from './encryption.ts';
import { type RedisConnection, StoreUnavailable } from './redis-connection.ts';
import { RedisRelay } from './redis-relay.ts';
import type { Relay } from './relay.ts';
import { type EntryFilter, matchesFilter, type Store, type StoreStats } from './store.ts';

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

/** Writes that may be under way at once, in bytes; what comes on top is dropped. */
const maxWritingBytes = 32 * 1024 * 1024;
const scanStep = 200;

/** Entries in Redis, one key each, with its time to live: every gateway of this version or newer reads them. */
export class RedisStore implements Store {
  readonly relay: Relay | undefined;
  readonly #options: RedisStoreOptions;
  readonly #connection: RedisConnection;
  readonly #now: () => number;
  readonly #writes = new Set<Promise<void>>();
  #writingBytes = 0;
  #errors = 0;
  #droppedWrites = 0;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#now = options.now ?? Date.now;
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
    try {
      const bytes = await this.#connection.run((client) => client.getBuffer(name));
      return bytes === null ? undefined : this.#decode(name, bytes);
    } catch (error) {
      this.#errors++;
      throw error;
    }
  }

  /** Resolves when the entry is on its way; nobody waits for its arrival. */
  async set(key: string, entry: CachedResponse): Promise<boolean> {
    const name = this.#nameOf(key);
    const encoded = encodeEntry(entry);
    const bytes = this.#options.encryption?.encrypt(name, encoded) ?? Buffer.from(encoded.buffer);
    const lifeMs = entry.expiresAt - this.#now();
    if (lifeMs <= 0) return true;
    if (this.#writingBytes + bytes.length > maxWritingBytes) {
      this.#droppedWrites++;
      throw new StoreUnavailable('too many writes are under way');
    }
    this.#writingBytes += bytes.length;
    const write = this.#connection
      .run((client) => client.set(name, bytes, 'PX', Math.ceil(lifeMs)))
      .then(
        () => {},
        () => {
          this.#errors++;
          this.#droppedWrites++;
        },
      )
      .finally(() => {
        this.#writingBytes -= bytes.length;
        this.#writes.delete(write);
      });
    this.#writes.add(write);
    return true;
  }

  async delete(key: string): Promise<boolean> {
    return (await this.#connection.run((client) => client.unlink(this.#nameOf(key)))) > 0;
  }

  async purge(filter: EntryFilter): Promise<number> {
    const { namespace } = filter;
    const begin = namespace === undefined ? '' : `${encodeURIComponent(namespace)}:`;
    const pattern = `${globbed(this.#nameOf(begin))}*`;
    let purged = 0;
    for (const node of this.#connection.nodes()) {
      let cursor = '0';
      do {
        const [next, names] = await this.#connection.run(() =>
          node.scan(cursor, 'MATCH', pattern, 'COUNT', scanStep),
        );
        cursor = next;
        for (const name of names) if (await this.#purgeOne(name, filter)) purged++;
      } while (cursor !== '0');
    }
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
      errors: this.#errors,
      droppedWrites: this.#droppedWrites,
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#writes);
    this.#connection.close();
  }

  async #purgeOne(name: string, filter: EntryFilter): Promise<boolean> {
    const bytes = await this.#connection.run((client) => client.getBuffer(name));
    if (bytes === null) return false;
    const entry = this.#decode(name, bytes);
    if (entry !== undefined && !matchesFilter(entry, filter)) return false;
    return (await this.#connection.run((client) => client.unlink(name))) > 0;
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
