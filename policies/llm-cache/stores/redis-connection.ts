import { Cluster, type ClusterNode, Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../../shared/log.ts';
import { Breaker } from './breaker.ts';

export interface RedisConnectionOptions {
  /** The store's name, for the log. */
  readonly name: string;
  readonly url: string | undefined;
  /** The client's own; `cluster`, a list of nodes, makes it a cluster's. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Milliseconds that a command may take. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/** Redis cannot be asked at the moment; nobody waited for it. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

type Client = Redis | Cluster;

/** A connection to Redis that nobody waits for longer than its deadline, and for a dead one not at all. */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #breaker: Breaker;
  #client: Client | null = null;
  #ready: Promise<void> | null = null;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#breaker = new Breaker(
      () => this.#inTime((client) => client.ping()),
      (open, reason) => this.#say(open, reason),
    );
    this.#connected();
  }

  /** Runs a command. Rejects when it fails, takes too long, or Redis is known not to answer. */
  async run<T>(command: (client: Client) => Promise<T>): Promise<T> {
    if (this.#breaker.isOpen) throw new StoreUnavailable('the breaker is open');
    try {
      const result = await this.#inTime(command);
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      // An answer that says no is an answer.
      if (error instanceof Error && error.name === 'ReplyError') this.#breaker.succeeded();
      else this.#breaker.failed(reasonOf(error));
      throw error;
    }
  }

  /** A second connection of the same kind, for what keeps one to itself. It is the caller's to end. */
  duplicate(): Client {
    return this.#connect();
  }

  /** Every node that has keys of its own. */
  nodes(): readonly Redis[] {
    const client = this.#connected();
    return client instanceof Cluster ? client.nodes('master') : [client];
  }

  close(): void {
    this.#breaker.close();
    this.#client?.disconnect();
    this.#client = null;
  }

  async #inTime<T>(command: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#connected();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new StoreUnavailable(`no answer within ${this.#options.timeoutMs} ms`));
      }, this.#options.timeoutMs);
    });
    try {
      return await Promise.race([this.#whenReady(client).then(() => command(client)), deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for a connection that is being made, not for one that is being tried again. */
  async #whenReady(client: Client): Promise<void> {
    if (client.status === 'ready') return;
    if (client.status !== 'connecting' && client.status !== 'connect') {
      throw new StoreUnavailable('not connected');
    }
    // One for all who wait.
    this.#ready ??= new Promise<void>((resolve, reject) => {
      client.once('ready', resolve);
      client.once('close', () => reject(new StoreUnavailable('the connection was closed')));
    }).finally(() => {
      this.#ready = null;
    });
    await this.#ready;
  }

  #connected(): Client {
    this.#client ??= this.#connect();
    return this.#client;
  }

  #connect(): Client {
    const { url, options } = this.#options;
    const { cluster, ...own } = options;
    const ours: RedisOptions = {
      // What cannot be sent now is not worth waiting for.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: 2000,
      retryStrategy: (times) => Math.min(times * 100, 1000),
    };
    const client = Array.isArray(cluster)
      ? new Cluster(cluster as ClusterNode[], {
          enableOfflineQueue: false,
          clusterRetryStrategy: (times) => Math.min(times * 100, 1000),
          ...own,
          redisOptions: { maxRetriesPerRequest: 0, ...(own['redisOptions'] as RedisOptions) },
        })
      : url === undefined
        ? new Redis({ ...ours, ...own })
        : new Redis(url, { ...ours, ...own });
    // Commands tell of it; without a listener the client would print every try.
    client.on('error', (error: unknown) => this.#breaker.failed(reasonOf(error)));
    return client;
  }

  #say(open: boolean, reason: string): void {
    const { name, log } = this.#options;
    if (open)
      log.warn(
        `llm-cache: store "${name}" does not answer (${reason}); the cache goes on without it`,
      );
    else log.info(`llm-cache: store "${name}" answers again`);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error instanceof StoreUnavailable) return error.message;
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
