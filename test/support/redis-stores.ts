import { Redis } from 'ioredis';
import type { Encryption } from '../../policies/llm-cache/stores/encryption.ts';
import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import { RedisConnection } from '../../policies/shared/redis/connection.ts';
import { RedisStore } from '../../policies/llm-cache/stores/redis.ts';
import { TieredStore } from '../../policies/llm-cache/stores/tiered.ts';

export const keyPrefix = 'test:';

interface Choices {
  readonly url?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly encryption?: Encryption | null;
  /** Of this gateway's clock. */
  readonly now?: () => number;
}

/** Opens stores and clients on a Redis, keeps what their log says, and closes them all. */
export class RedisStores {
  readonly said: string[] = [];
  readonly #url: string;
  readonly #opened: (() => unknown)[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  redis(choices: Choices = {}): RedisStore {
    const { url = this.#url, options = {}, timeoutMs = 100, encryption = null, now } = choices;
    const say = (text: string) => void this.said.push(text);
    const log = { info: say, warn: say, error: say };
    const connection = new RedisConnection({
      subject: 'llm-cache: store "shared"',
      url,
      options,
      timeoutMs,
      log,
    });
    const store = new RedisStore({
      connection,
      keyPrefix,
      encryption,
      coalesceAcross: true,
      ...(now && { now }),
    });
    this.#opened.push(() => store.close());
    return store;
  }

  /** As on a gateway of its own. */
  tiered(choices: Choices & { nearTtl?: number; near?: MemoryStore } = {}) {
    const { near = new MemoryStore({ maxBytes: 1_000_000 }), nearTtl = 30, now } = choices;
    const far = this.redis(choices);
    const clock = now === undefined ? {} : { now };
    const store = new TieredStore({ name: 'near', near, far, nearTtl, ...clock });
    this.#opened.unshift(() => store.close());
    return { store, near, far };
  }

  /** A client of the test's own. */
  client(url = this.#url): Redis {
    const client = new Redis(url);
    client.on('error', () => {});
    this.#opened.push(() => client.disconnect());
    return client;
  }

  async close(): Promise<void> {
    for (const close of this.#opened.splice(0)) await close();
  }
}
