import type { Redis } from 'ioredis';
import {
  type CachedResponse,
  decodeEntry,
  decodeHead,
  encodeEntry,
  type EntryHead,
} from '../entry.ts';
import type { Encryption } from './encryption.ts';
import { PurgeChannel } from './purge-channel.ts';
import { type RedisConnection, StoreUnavailable } from '../../shared/redis/connection.ts';
import { RedisRelay } from './redis-relay.ts';
import type { Relay } from './relay.ts';
import {
  type EntryFilter,
  type ListedEntry,
  matchesFilter,
  type Page,
  type PageRequest,
  type Store,
  type StoreStats,
  UnknownCursor,
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

/** How many keys one step of a purge or a listing asks for. */
const scanStep = 200;
/** How many entries a page looks at before it is content with what it has found. */
const maxLookedAt = 1000;
/** Entries read at once, whole or their heads. */
const wholeAtOnce = 4;
const headsAtOnce = 50;
/** Bytes that nearly every entry's head is shorter than. */
const headBytes = 4096;
/** For what an operator asks; no request waits for it. */
const operatorTimeoutMs = 1000;

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
  #errors = 0;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#now = options.now ?? Date.now;
    this.#writes = new WriteQueue((write) => this.#write(write));
    this.#uses = new UseCounts(options.connection, options.keyPrefix);
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

  async purge(filter: EntryFilter, dryRun = false): Promise<number> {
    await this.#writes.flushed();
    let purged = 0;
    for (const node of await this.#counted(this.#nodes())) {
      purged += await this.#counted(this.#purgeNode(node, filter, dryRun));
    }
    if (!dryRun) await this.#counted(this.purges.tell({ filter }));
    return purged;
  }

  async list(filter: EntryFilter, page: PageRequest): Promise<Page> {
    await this.#writes.flushed();
    await this.#uses.flush();
    return this.#counted(this.#list(filter, page));
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
      healthy: !this.#connection.isBroken,
    };
  }

  async close(): Promise<void> {
    await this.#writes.flushed();
    await this.#uses.flush();
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

  async #purgeNode(node: Redis, filter: EntryFilter, dryRun: boolean): Promise<number> {
    const needsRead = filter.model !== undefined || filter.consumer !== undefined;
    let purged = 0;
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, names] = await this.#scan(node, cursor, filter);
      cursor = next;
      for (let at = 0; at < names.length; at += this.#atOnce) {
        const gone = names.slice(at, at + this.#atOnce).map(async (name) => {
          if (needsRead && !(await this.#matches(name, filter))) return false;
          return dryRun || this.#unlink(name);
        });
        purged += (await Promise.all(gone)).filter(Boolean).length;
      }
    }
    return purged;
  }

  async #list(filter: EntryFilter, { limit, cursor }: PageRequest): Promise<Page> {
    let at: Position = cursor === null ? { node: 0, scan: '0', after: '' } : readCursor(cursor);
    const nodes = await this.#nodes();
    const entries: ListedEntry[] = [];
    for (let looked = 0; ;) {
      const node = nodes[at.node];
      if (node === undefined) return { entries, cursor: null };
      const [next, names] = await this.#scan(node, at.scan, filter);
      // In an order of their own, so that a page can end in the middle of what a step has found.
      const rest = names.toSorted().filter((name) => name > at.after);
      for (let from = 0; from < rest.length; from += this.#atOnce) {
        const some = rest.slice(from, from + this.#atOnce);
        const found = await Promise.all(some.map((name) => this.#listed(name, filter)));
        for (const [index, listed] of found.entries()) {
          if (listed !== undefined && entries.length === limit) {
            return { entries, cursor: cursorAt(at) };
          }
          if (listed !== undefined) entries.push(listed);
          at.after = some[index] ?? at.after;
        }
        looked += some.length;
      }
      // Keys of others cost something as well.
      looked += scanStep / 20;
      at =
        next === '0'
          ? { node: at.node + 1, scan: '0', after: '' }
          : { node: at.node, scan: next, after: '' };
      if (looked >= maxLookedAt && nodes[at.node] !== undefined) {
        return { entries, cursor: cursorAt(at) };
      }
    }
  }

  async #listed(name: string, filter: EntryFilter): Promise<ListedEntry | undefined> {
    const read = await this.#readHead(name);
    if (read === null || read === undefined || !matchesFilter(read.head, filter)) return undefined;
    const key = name.slice(this.#nameOf('').length);
    return { key, ...read, hits: await this.#uses.of(key, read.head) };
  }

  /** Entries that the filter may match: a key begins with its namespace. */
  #scan(
    node: Redis,
    cursor: string,
    { namespace }: EntryFilter,
  ): Promise<[cursor: string, names: string[]]> {
    const begin = namespace === undefined ? '' : `${encodeURIComponent(namespace)}:`;
    const pattern = `${globbed(this.#nameOf(begin))}*`;
    return this.#connection.run(
      () => node.scan(cursor, 'MATCH', pattern, 'COUNT', scanStep),
      operatorTimeoutMs,
    );
  }

  /** All that have keys; rejects where none can be asked. */
  async #nodes(): Promise<readonly Redis[]> {
    if (this.#connection.nodes().length === 0) {
      await this.#connection.run((client) => client.ping());
    }
    return this.#connection.nodes();
  }

  /** Encrypted ones are read whole, so fewer at once. */
  get #atOnce(): number {
    return this.#options.encryption === null ? headsAtOnce : wholeAtOnce;
  }

  /** What cannot be read matches as well: rather thrown out than kept. */
  async #matches(name: string, filter: EntryFilter): Promise<boolean> {
    const read = await this.#readHead(name);
    if (read === null) return false;
    return read === undefined || matchesFilter(read.head, filter);
  }

  /** The head, and how long the body is; null where there is no entry, undefined where it cannot be read. */
  async #readHead(
    name: string,
  ): Promise<{ readonly head: EntryHead; readonly bytes: number } | null | undefined> {
    if (this.#options.encryption === null) {
      const [begin, length] = await this.#connection.run(
        (client) =>
          Promise.all([client.getrangeBuffer(name, 0, headBytes - 1), client.strlen(name)]),
        operatorTimeoutMs,
      );
      const read = decodeHead(begin);
      if (read !== undefined) return { head: read.head, bytes: length - read.bodyStart };
    }
    const bytes = await this.#connection.run((client) => client.getBuffer(name), operatorTimeoutMs);
    if (bytes === null) return null;
    const entry = this.#decode(name, bytes);
    if (entry === undefined) return undefined;
    const { body, ...head } = entry;
    return { head, bytes: body.length };
  }

  async #unlink(name: string): Promise<boolean> {
    return (await this.#connection.run((client) => client.unlink(name), operatorTimeoutMs)) > 0;
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

interface Position {
  /** Of those that have keys. */
  readonly node: number;
  readonly scan: string;
  /** The last name of the step that was looked at; empty for none. */
  after: string;
}

function cursorAt({ node, scan, after }: Position): string {
  return `${node}.${scan}.${after}`;
}

function readCursor(cursor: string): Position {
  const [, node, scan, after] = /^(\d{1,4})\.(\d{1,20})\.(.*)$/s.exec(cursor) ?? [];
  if (node === undefined || scan === undefined || after === undefined) throw new UnknownCursor();
  return { node: Number(node), scan, after };
}

function asArgument(value: string | number | Uint8Array): string | number | Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

/** `text` as a pattern that matches nothing else. */
function globbed(text: string): string {
  return text.replaceAll(/[*?[\]\\^]/g, '\\$&');
}
