import type { Redis } from 'ioredis';
import { isWrongType, type RedisConnection } from '../../shared/redis/connection.ts';
import type { Counted } from './entry-count.ts';
import type { RedisReader } from './redis-reader.ts';
import {
  type EntryFilter,
  type ListedEntry,
  matchesFilter,
  type Page,
  type PageRequest,
  UnknownCursor,
} from './store.ts';
import type { UseCounts } from './use-counts.ts';

/** How many keys one step of a purge or a listing asks for. */
const scanStep = 200;
/** How many keys one step of a count asks for, and how many entries of all are measured. */
const countStep = 1000;
const sampleStep = 20;
const maxSample = 500;
/** How many entries a page looks at before it is content with what it has found. */
const maxLookedAt = 1000;
/** Heads of entries read at once. */
const atOnce = 50;
/** For what an operator asks; no request waits for it. */
export const operatorTimeoutMs = 1000;

export interface RedisScanOptions {
  readonly connection: RedisConnection;
  /** What the names of all entries begin with; the key follows. */
  readonly prefix: string;
  readonly reader: RedisReader;
  readonly uses: UseCounts;
}

/** What an operator asks of all entries in a Redis, in steps that keep no other command waiting. Rejects where Redis does. */
export class RedisScan {
  readonly #options: RedisScanOptions;
  readonly #connection: RedisConnection;

  constructor(options: RedisScanOptions) {
    this.#options = options;
    this.#connection = options.connection;
  }

  /** Throws out what matches, or only counts it. */
  async purge(filter: EntryFilter, dryRun: boolean): Promise<number> {
    let purged = 0;
    for (const node of await this.#nodes()) purged += await this.#purgeNode(node, filter, dryRun);
    return purged;
  }

  async list(filter: EntryFilter, { limit, cursor }: PageRequest): Promise<Page> {
    let at: Position = cursor === null ? { node: 0, scan: '0', after: '' } : readCursor(cursor);
    const nodes = await this.#nodes();
    const entries: ListedEntry[] = [];
    for (let looked = 0; ;) {
      const node = nodes[at.node];
      if (node === undefined) return { entries, cursor: null };
      const [next, names] = await this.#scan(node, at.scan, filter);
      // In an order of their own, so that a page can end in the middle of what a step has found.
      const rest = names.toSorted().filter((name) => name > at.after);
      for (let from = 0; from < rest.length; from += atOnce) {
        const some = rest.slice(from, from + atOnce);
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

  /** How many there are; their bytes are reckoned from a sample. */
  async count(signal: AbortSignal): Promise<Counted> {
    let entries = 0;
    const sizes: number[] = [];
    for (const node of await this.#nodes()) {
      for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
        signal.throwIfAborted();
        const [next, names] = await this.#scan(node, cursor, {}, countStep);
        signal.throwIfAborted();
        cursor = next;
        entries += names.length;
        const some = sizes.length < maxSample ? names.slice(0, sampleStep) : [];
        sizes.push(...(await Promise.all(some.map((name) => this.#sizeOf(name)))));
      }
    }
    const sampled = sizes.reduce((sum, size) => sum + size, 0);
    return { entries, bytes: Math.round((sampled / Math.max(1, sizes.length)) * entries) };
  }

  /** Whether there was one. */
  async unlink(name: string): Promise<boolean> {
    return (await this.#connection.run((client) => client.unlink(name), operatorTimeoutMs)) > 0;
  }

  async #purgeNode(node: Redis, filter: EntryFilter, dryRun: boolean): Promise<number> {
    const needsRead = filter.model !== undefined || filter.consumer !== undefined;
    let purged = 0;
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, names] = await this.#scan(node, cursor, filter);
      cursor = next;
      for (let at = 0; at < names.length; at += atOnce) {
        const gone = names.slice(at, at + atOnce).map(async (name) => {
          if (needsRead && !(await this.#matches(name, filter))) return false;
          return dryRun || this.unlink(name);
        });
        purged += (await Promise.all(gone)).filter(Boolean).length;
      }
    }
    return purged;
  }

  async #listed(name: string, filter: EntryFilter): Promise<ListedEntry | undefined> {
    const found = await this.#options.reader.head(name, operatorTimeoutMs);
    if (found === null || found === undefined) return undefined;
    if (!matchesFilter(found.head, filter)) return undefined;
    const key = name.slice(this.#options.prefix.length);
    return { key, ...found, hits: await this.#options.uses.of(key, found.head) };
  }

  /** 0 for what is no string, and so no entry. */
  async #sizeOf(name: string): Promise<number> {
    try {
      const length = await this.#connection.run((client) => client.strlen(name), operatorTimeoutMs);
      return name.length + length;
    } catch (error) {
      if (isWrongType(error)) return 0;
      throw error;
    }
  }

  /** Entries that the filter may match: a key begins with its namespace. */
  #scan(
    node: Redis,
    cursor: string,
    { namespace }: EntryFilter,
    step = scanStep,
  ): Promise<[cursor: string, names: string[]]> {
    const begin = namespace === undefined ? '' : `${encodeURIComponent(namespace)}:`;
    const pattern = `${globbed(`${this.#options.prefix}${begin}`)}*`;
    return this.#connection.run(
      () => node.scan(cursor, 'MATCH', pattern, 'COUNT', step),
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

  /** What cannot be read matches as well: rather thrown out than kept. */
  async #matches(name: string, filter: EntryFilter): Promise<boolean> {
    const found = await this.#options.reader.head(name, operatorTimeoutMs);
    if (found === null) return false;
    return found === undefined || matchesFilter(found.head, filter);
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

/** `text` as a pattern that matches nothing else. */
function globbed(text: string): string {
  return text.replaceAll(/[*?[\]\\^]/g, '\\$&');
}
