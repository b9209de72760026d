import { Cluster, type Redis } from 'ioredis';
import type { Log } from '../log.ts';
import { Breaker } from './breaker.ts';
import { type RedisAddress, type RedisClient, redisClient, subscriberClient } from './client.ts';

export interface RedisConnectionOptions extends RedisAddress {
  /** What the log calls it, `llm-cache: store "shared"`. */
  readonly subject: string;
  /** Milliseconds that a command may take. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/** Redis cannot be asked at the moment; no caller waited for it longer than the deadline. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
  /** The connection says so itself, once a change of state. */
  readonly isReported = true;
}

/** How often the log says of one kind of trouble that it goes on. */
const quietMs = 60_000;

/** A connection to Redis. A command waits for its deadline at most, and for a dead Redis not at all. */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #breaker: Breaker;
  /** When each thing was said; few, for they have our own words and Redis's codes. */
  readonly #said = new Map<string, number>();
  #client: RedisClient | null = null;
  /** The end of the connecting that is under way: all who wait for it wait for one promise. */
  #connecting: Promise<void> | null = null;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#breaker = new Breaker(
      () => this.#inTime((client) => client.ping(), options.timeoutMs),
      (open, reason) => this.#say(open, reason),
    );
    this.#connected();
  }

  /**
   * Runs a command. Rejects with a StoreUnavailable when it takes longer than `timeoutMs` or Redis
   * is known not to answer, otherwise with what Redis said; it is not sent once it is too late.
   */
  async run<T>(
    command: (client: RedisClient) => Promise<T>,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<T> {
    if (this.#breaker.isOpen) throw new StoreUnavailable('the breaker is open');
    try {
      const result = await this.#inTime(command, timeoutMs);
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      // A Redis error reply proves that Redis is up.
      if (isRefusal(error)) {
        this.#breaker.succeeded();
        // A Redis that is full, or does not let us, is the operator's to mend.
        this.warn(`refuses commands (${reasonOf(error)})`);
        throw error;
      }
      const reason = reasonOf(error);
      this.#breaker.failed(reason);
      throw error instanceof StoreUnavailable ? error : new StoreUnavailable(reason);
    }
  }

  /** Says in the log that this Redis `does`, once a minute at most. */
  warn(does: string): void {
    const saidAt = this.#said.get(does);
    const now = performance.now();
    if (saidAt !== undefined && now - saidAt < quietMs) return;
    this.#said.set(does, now);
    this.#options.log.warn(`${this.#options.subject} ${does}`);
  }

  /** Whether it is known not to answer at the moment. */
  get isBroken(): boolean {
    return this.#breaker.isOpen;
  }

  /** Another connection, for a subscription; null as long as it is not known where to. It is the caller's to end. */
  subscriber(): Redis | null {
    return subscriberClient(this.#options, this.#connected());
  }

  /** Every node that has keys of its own. */
  nodes(): readonly Redis[] {
    const client = this.#connected();
    return client instanceof Cluster ? client.nodes('master') : [client];
  }

  /** A later use connects anew. */
  close(): void {
    const client = this.#client;
    this.#client = null;
    client?.disconnect();
    this.#breaker.close();
  }

  async #inTime<T>(command: (client: RedisClient) => Promise<T>, timeoutMs: number): Promise<T> {
    const client = this.#connected();
    let isLate = false;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        reject(new StoreUnavailable(`no answer within ${timeoutMs} ms`));
      }, timeoutMs);
    });
    const late = new Promise<never>(() => {});
    const result =
      client.status === 'ready'
        ? command(client)
        : this.#whenReady(client).then(() => (isLate ? late : command(client)));
    try {
      return await Promise.race([result, deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for a connection that is being made, not for one that is being tried again. */
  #whenReady(client: RedisClient): Promise<void> {
    if (client.status !== 'connecting' && client.status !== 'connect') {
      return Promise.reject(new StoreUnavailable('not connected'));
    }
    this.#connecting ??= new Promise<void>((resolve, reject) => {
      const settle = () => {
        for (const event of ['ready', 'close', 'end']) client.off(event, settle);
        this.#connecting = null;
        if (client.status === 'ready') resolve();
        else reject(new StoreUnavailable('the connection was closed'));
      };
      for (const event of ['ready', 'close', 'end']) client.on(event, settle);
    });
    return this.#connecting;
  }

  #connected(): RedisClient {
    return (this.#client ??= this.#connect());
  }

  #connect(): RedisClient {
    const client = redisClient(this.#options);
    const isCurrent = () => client === this.#client;
    // Without a listener the client would print every try.
    client.on('error', (error: unknown) => isCurrent() && this.#breaker.failed(reasonOf(error)));
    // It has answered what it is asked to begin with.
    client.on('ready', () => isCurrent() && this.#breaker.succeeded());
    return client;
  }

  #say(open: boolean, reason: string): void {
    const { subject, log } = this.#options;
    if (open) log.warn(`${subject} does not answer (${reason}); requests go on without it`);
    else log.info(`${subject} answers again`);
  }
}

/** Whether Redis said that what stands under a name is of another type than was expected. */
export function isWrongType(error: unknown): boolean {
  return isRefusal(error) && error.message.startsWith('WRONGTYPE');
}

/** Whether Redis has answered, and said no. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Never the message, which may quote what was sent; of a reply only the code that it begins with. */
export function reasonOf(error: unknown): string {
  if (error instanceof StoreUnavailable) return error.message;
  if (isRefusal(error)) return /^[A-Z]+(?= )/.exec(error.message)?.[0] ?? error.name;
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
