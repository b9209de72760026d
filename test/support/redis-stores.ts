import { Redis } from 'ioredis';
import { RedisRelay } from '../../policies/llm-cache/stores/redis-relay.ts';
import { type RelayTiming, usualTiming } from '../../policies/llm-cache/stores/relay-timing.ts';
import type { Seal } from '../../policies/llm-cache/stores/seal.ts';
import { Signature } from '../../policies/llm-cache/stores/signature.ts';
import { ByteBudget } from '../../policies/shared/bytes/budget.ts';
import { SharedBodies } from '../../policies/shared/bytes/shared-bodies.ts';
import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import { RedisConnection } from '../../policies/shared/redis/connection.ts';
import { RedisStore } from '../../policies/llm-cache/stores/redis.ts';
import { TieredStore } from '../../policies/llm-cache/stores/tiered.ts';

export const keyPrefix = 'test:';

interface Choices {
  readonly url?: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly seal?: Seal;
  /** The memory for bodies. */
  readonly budget?: ByteBudget;
  /** This gateway's clock. */
  readonly now?: () => number;
}

/** Opens stores and clients on a Redis, collects their log lines and closes them all. */
export class RedisStores {
  readonly said: string[] = [];
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #opened: (() => unknown)[] = [];

  /** The default timeout suits a busy machine; a test of timeouts passes its own. */
  constructor(url: string, timeoutMs = 5000) {
    this.#url = url;
    this.#timeoutMs = timeoutMs;
  }

  redis(choices: Choices = {}): RedisStore {
    const { seal = new Signature('secret'), budget = new ByteBudget(Infinity), now } = choices;
    const store = new RedisStore({
      connection: this.#connection(choices),
      keyPrefix,
      seal,
      bodies: new SharedBodies(budget),
      coalesceAcross: true,
      ...(now && { now }),
    });
    this.#opened.push(() => store.close());
    return store;
  }

  /** Opens a relay as another gateway would, with the timeouts in `timing`. */
  relay(choices: Choices & { timing?: Partial<RelayTiming> } = {}): RedisRelay {
    const { seal = new Signature('secret'), budget = new ByteBudget(Infinity) } = choices;
    const connection = this.#connection(choices);
    const timing = { ...usualTiming, ...choices.timing };
    const relay = new RedisRelay({ connection, keyPrefix, seal, budget, timing });
    this.#opened.push(() => {
      relay.close();
      connection.close();
    });
    return relay;
  }

  /** Opens a tiered store as another gateway would. */
  tiered(choices: Choices & { nearTtl?: number; near?: MemoryStore } = {}) {
    const { near = new MemoryStore({ maxBytes: 1_000_000 }), nearTtl = 30, now } = choices;
    const far = this.redis(choices);
    const clock = now === undefined ? {} : { now };
    const store = new TieredStore({ name: 'near', near, far, nearTtl, ...clock });
    this.#opened.unshift(() => store.close());
    return { store, near, far };
  }

  /** Opens a plain client for the test. */
  client(url = this.#url): Redis {
    const client = new Redis(url);
    client.on('error', () => {});
    this.#opened.push(() => client.disconnect());
    return client;
  }

  async close(): Promise<void> {
    for (const close of this.#opened.splice(0)) await close();
  }

  #connection(choices: Choices): RedisConnection {
    const { url = this.#url, options = {}, timeoutMs = this.#timeoutMs } = choices;
    const say = (text: string) => void this.said.push(text);
    const log = { info: say, warn: say, error: say };
    const subject = 'llm-cache: store "shared"';
    return new RedisConnection({ subject, url, options, timeoutMs, log });
  }
}
