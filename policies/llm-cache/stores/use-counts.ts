import { isRefusal, isWrongType, type RedisConnection } from '../../shared/redis/connection.ts';
import type { RedisClient } from '../../shared/redis/client.ts';
import type { EntryHead } from '../entry.ts';

const flushMs = 1000;
/** Entries whose uses may wait to be counted; what comes on top is not counted. */
const maxWaiting = 10_000;
const atOnce = 100;
const timeoutMs = 1000;

interface Waiting {
  readonly expiresAt: number;
  uses: number;
}

/**
 * How often each entry has answered, on all gateways together: a counter beside the entry that goes
 * when the entry goes. Counted off the path of the requests; while Redis fails nothing is.
 */
export class UseCounts {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  #waiting = new Map<string, Waiting>();
  #timer: NodeJS.Timeout | null = null;

  constructor(connection: RedisConnection, keyPrefix: string) {
    this.#connection = connection;
    this.#prefix = `${keyPrefix}hits:`;
  }

  add(key: string, entry: EntryHead): void {
    const name = this.#nameOf(key, entry);
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) waiting.uses++;
    else if (this.#waiting.size < maxWaiting) {
      this.#waiting.set(name, { expiresAt: entry.expiresAt, uses: 1 });
    }
    this.#timer ??= setTimeout(() => void this.flush(), flushMs).unref();
  }

  /** Never rejects. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const all = [...this.#waiting];
    this.#waiting = new Map();
    try {
      for (let at = 0; at < all.length; at += atOnce) {
        await this.#connection.run(
          (client) => addAll(client, all.slice(at, at + atOnce)),
          timeoutMs,
        );
      }
    } catch {
      // The connection has said what is wrong; a count is worth no second try.
    }
  }

  async of(key: string, entry: EntryHead): Promise<number> {
    const name = this.#nameOf(key, entry);
    try {
      // No count has more digits.
      const text = await this.#connection.run((client) => client.getrange(name, 0, 20), timeoutMs);
      return /^\d{1,15}$/.test(text) ? Number(text) : 0;
    } catch (error) {
      if (isWrongType(error)) return 0;
      throw error;
    }
  }

  /** One that is stored anew under the same key begins at zero. */
  #nameOf(key: string, { storedAt }: EntryHead): string {
    return `${this.#prefix}${storedAt.toString(36)}:${key}`;
  }
}

async function addAll(
  client: RedisClient,
  some: readonly (readonly [name: string, waiting: Waiting])[],
): Promise<void> {
  await Promise.all(
    some.map(async ([name, { uses, expiresAt }]) => {
      try {
        await client.incrby(name, uses);
      } catch (error) {
        if (!isNoCount(error)) throw error;
        // It begins anew, and keeps no other from being counted.
        await client.set(name, uses);
      }
      await client.pexpireat(name, Math.ceil(expiresAt));
    }),
  );
}

/** Whether what stands there is no number, or one that cannot grow; not that Redis is full, or does not let us. */
function isNoCount(error: unknown): boolean {
  return isWrongType(error) || (isRefusal(error) && error.message.startsWith('ERR '));
}
