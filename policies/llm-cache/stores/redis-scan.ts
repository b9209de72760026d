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

/** The COUNT of one SCAN step in a purge or a listing. */
const scanStep = 200;
/** The COUNT of one SCAN step in a count, and how many entries are measured per step and in all. */
const countStep = 1000;
const sampleStep = 20;
const maxSample = 500;
/** After this many entries a page ends, even if it is not full. */
const maxVisited = 1000;
/** How many heads are read concurrently. */
const concurrency = 50;
/** For operators' commands, which no request waits for. */
export const operatorTimeoutMs = 1000;

export interface RedisScanOptions {
  readonly connection: RedisConnection;
  /** The prefix of all entry names. The key follows it. */
  readonly prefix: string;
  readonly reader: RedisReader;
  readonly uses: UseCounts;
}

/** Purges, lists and counts all entries in Redis, in small steps that do not delay other commands. Rejects if Redis fails. */
export class RedisScan {
  readonly #options: RedisScanOptions;
  readonly #connection: RedisConnection;

  constructor(options: RedisScanOptions) {
    this.#options = options;
    this.#connection = options.connection;
  }

  /** Deletes all entries that match, or only counts them. */
  async purge(filter: EntryFilter, dryRun: boolean): Promise<number> {
    let purged = 0;
    for (const node of await this.#nodes()) purged += await this.#purgeNode(node, filter, dryRun);
    return purged;
  }

  async list(filter: EntryFilter, { limit, cursor }: PageRequest): Promise<Page> {
    let at: Position = cursor === null ? { node: 0, scan: '0', after: '' } : readCursor(cursor);
    const nodes = await this.#nodes();
    const entries: ListedEntry[] = [];
    for (let visited = 0; ;) {
      const node = nodes[at.node];
      if (node === undefined) return { entries, cursor: null };
      const [next, names] = await this.#scan(node, at.scan, filter);
      // Sorted, so that a page can end in the middle of a step.
      const rest = names.toSorted().filter((name) => name > at.after);
      for (let from = 0; from < rest.length; from += concurrency) {
        const some = rest.slice(from, from + concurrency);
        const found = await Promise.all(some.map((name) => this.#listed(name, filter)));
        for (const [index, listed] of found.entries()) {
          if (listed !== undefined && entries.length === limit) {
            return { entries, cursor: cursorAt(at) };
          }
          if (listed !== undefined) entries.push(listed);
          at.after = some[index] ?? at.after;
        }
        visited += some.length;
      }
      // Each step counts too, because it may visit many keys that are not entries.
      visited += scanStep / 20;
      at =
        next === '0'
          ? { node: at.node + 1, scan: '0', after: '' }
          : { node: at.node, scan: next, after: '' };
      if (visited >= maxVisited && nodes[at.node] !== undefined) {
        return { entries, cursor: cursorAt(at) };
      }
    }
  }

  /** Counts the entries, and estimates their bytes from a sample. */
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

  /** Deletes an entry. Resolves to whether it existed. */
  async unlink(name: string): Promise<boolean> {
    return (await this.#connection.run((client) => client.unlink(name), operatorTimeoutMs)) > 0;
  }

  async #purgeNode(node: Redis, filter: EntryFilter, dryRun: boolean): Promise<number> {
    const needsRead = filter.model !== undefined || filter.consumer !== undefined;
    let purged = 0;
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, names] = await this.#scan(node, cursor, filter);
      cursor = next;
      for (let at = 0; at < names.length; at += concurrency) {
        const gone = names.slice(at, at + concurrency).map(async (name) => {
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

  /** The bytes of an entry, or 0 for a value that is not a string and so not an entry. */
  async #sizeOf(name: string): Promise<number> {
    try {
      const length = await this.#connection.run((client) => client.strlen(name), operatorTimeoutMs);
      return name.length + length;
    } catch (error) {
      if (isWrongType(error)) return 0;
      throw error;
    }
  }

  /** Scans for entries that the filter may match. Only the namespace narrows the scan: keys begin with it. */
  #scan(
    node: Redis,
    cursor: string,
    { namespace }: EntryFilter,
    step = scanStep,
  ): Promise<[cursor: string, names: string[]]> {
    const begin = namespace === undefined ? '' : `${encodeURIComponent(namespace)}:`;
    const pattern = `${escapeGlob(`${this.#options.prefix}${begin}`)}*`;
    return this.#connection.run(
      () => node.scan(cursor, 'MATCH', pattern, 'COUNT', step),
      operatorTimeoutMs,
    );
  }

  /** All nodes that hold keys. Rejects if none is reachable. */
  async #nodes(): Promise<readonly Redis[]> {
    if (this.#connection.nodes().length === 0) {
      await this.#connection.run((client) => client.ping());
    }
    return this.#connection.nodes();
  }

  /** An unreadable entry matches too: it is better purged than kept. */
  async #matches(name: string, filter: EntryFilter): Promise<boolean> {
    const found = await this.#options.reader.head(name, operatorTimeoutMs);
    if (found === null) return false;
    return found === undefined || matchesFilter(found.head, filter);
  }
}

interface Position {
  /** The index among the nodes that hold keys. */
  readonly node: number;
  readonly scan: string;
  /** The last name visited in the step, or empty. */
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

/** Escapes text for use in a glob pattern. */
function escapeGlob(text: string): string {
  return text.replaceAll(/[*?[\]\\^]/g, '\\$&');
}
