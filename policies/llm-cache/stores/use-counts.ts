import { isRefusal, isWrongType, type RedisConnection } from '../../shared/redis/connection.ts';
import type { RedisClient } from '../../shared/redis/client.ts';
import type { EntryHead } from '../entry.ts';

const flushMs = 1000;
/** How many entries may have hits waiting to be flushed. Hits on further entries are not counted. */
const maxWaiting = 10_000;
const batchSize = 100;
const timeoutMs = 1000;

interface Waiting {
  readonly expiresAt: number;
  uses: number;
}

/**
 * Counts the hits on each entry across all gateways, in a Redis counter that expires with the entry.
 * No request waits for it. Hits are not counted while Redis fails.
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

  /** Sends the waiting counts to Redis. Never rejects. */
  async flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const all = [...this.#waiting];
    this.#waiting = new Map();
    try {
      for (let at = 0; at < all.length; at += batchSize) {
        await this.#connection.run(
          (client) => addAll(client, all.slice(at, at + batchSize)),
          timeoutMs,
        );
      }
    } catch {
      // The connection has logged the error. A count is not worth a retry.
    }
  }

  async of(key: string, entry: EntryHead): Promise<number> {
    const name = this.#nameOf(key, entry);
    try {
      // Bounded, because others may have written a large value there.
      const text = await this.#connection.run((client) => client.getrange(name, 0, 20), timeoutMs);
      return /^\d{1,15}$/.test(text) ? Number(text) : 0;
    } catch (error) {
      if (isWrongType(error)) return 0;
      throw error;
    }
  }

  /** Includes `storedAt`, so that a new entry under the same key starts at zero. */
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
        if (!isInvalidCount(error)) throw error;
        // Start anew, so that one bad value does not fail the batch.
        await client.set(name, uses);
      }
      await client.pexpireat(name, Math.ceil(expiresAt));
    }),
  );
}

/** Whether the stored value is not a number or cannot be incremented. Other refusals (Redis is full, or denies access) do not match. */
function isInvalidCount(error: unknown): boolean {
  return isWrongType(error) || (isRefusal(error) && error.message.startsWith('ERR '));
}
