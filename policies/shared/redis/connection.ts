import { Cluster, type Redis } from 'ioredis';
import type { Log } from '../log.ts';
import { Breaker } from './breaker.ts';
import { type RedisAddress, type RedisClient, redisClient, subscriberClient } from './client.ts';

export interface RedisConnectionOptions extends RedisAddress {
  /** Its name in the log: `llm-cache: store "shared"`. */
  readonly subject: string;
  /** The deadline of a command, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Log;
}

/** Thrown when Redis cannot be reached now; no caller waits longer than the deadline for it. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
  /** The connection logs each change of state itself. */
  readonly isReported = true;
}

/** The shortest time between two log lines about the same trouble, in milliseconds. */
const quietMs = 60_000;

/** A connection to Redis. A command waits at most until its deadline, and not at all for a dead Redis. */
export class RedisConnection {
  readonly #options: RedisConnectionOptions;
  readonly #breaker: Breaker;
  /** When each warning was logged. There are few: fixed texts and the error codes of Redis. */
  readonly #warnedAt = new Map<string, number>();
  #client: RedisClient | null = null;
  /** Settles when the current attempt to connect ends; all callers share it. */
  #connecting: Promise<void> | null = null;

  constructor(options: RedisConnectionOptions) {
    this.#options = options;
    this.#breaker = new Breaker(
      () => this.#withDeadline((client) => client.ping(), options.timeoutMs),
      (open, reason) => this.#logState(open, reason),
    );
    this.#currentClient();
  }

  /**
   * Runs a command. Rejects with a StoreUnavailable if it takes longer than `timeoutMs` or if Redis is
   * known not to answer, and with the error reply if Redis refuses it. A command whose deadline has
   * passed is not sent.
   */
  async run<T>(
    command: (client: RedisClient) => Promise<T>,
    timeoutMs = this.#options.timeoutMs,
  ): Promise<T> {
    if (this.#breaker.isOpen) throw new StoreUnavailable('the breaker is open');
    try {
      const result = await this.#withDeadline(command, timeoutMs);
      this.#breaker.succeeded();
      return result;
    } catch (error) {
      // A Redis error reply proves that Redis is up.
      if (isRefusal(error)) {
        this.#breaker.succeeded();
        // The operator has to fix a Redis that is full or denies access.
        this.warn(`refuses commands (${reasonOf(error)})`);
        throw error;
      }
      const reason = reasonOf(error);
      this.#breaker.failed(reason);
      throw error instanceof StoreUnavailable ? error : new StoreUnavailable(reason);
    }
  }

  /** Warns in the log that this Redis does something, at most once a minute. */
  warn(does: string): void {
    const warnedAt = this.#warnedAt.get(does);
    const now = performance.now();
    if (warnedAt !== undefined && now - warnedAt < quietMs) return;
    this.#warnedAt.set(does, now);
    this.#options.log.warn(`${this.#options.subject} ${does}`);
  }

  /** Whether Redis is known not to answer now. */
  get isBroken(): boolean {
    return this.#breaker.isOpen;
  }

  /** Returns a new client for a subscription, which the caller must close; null while no node is known. */
  subscriber(): Redis | null {
    return subscriberClient(this.#options, this.#currentClient());
  }

  /** Returns a client for each node that has keys of its own. */
  nodes(): readonly Redis[] {
    const client = this.#currentClient();
    return client instanceof Cluster ? client.nodes('master') : [client];
  }

  /** Disconnects. A later use connects again. */
  close(): void {
    const client = this.#client;
    this.#client = null;
    client?.disconnect();
    this.#breaker.close();
  }

  async #withDeadline<T>(
    command: (client: RedisClient) => Promise<T>,
    timeoutMs: number,
  ): Promise<T> {
    const client = this.#currentClient();
    let isLate = false;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        isLate = true;
        reject(new StoreUnavailable(`no answer within ${timeoutMs} ms`));
      }, timeoutMs);
    });
    const neverSent = new Promise<never>(() => {});
    const result =
      client.status === 'ready'
        ? command(client)
        : this.#whenReady(client).then(() => (isLate ? neverSent : command(client)));
    try {
      return await Promise.race([result, deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits for the current attempt to connect, but not for the pause before another attempt. */
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

  #currentClient(): RedisClient {
    return (this.#client ??= this.#connect());
  }

  #connect(): RedisClient {
    const client = redisClient(this.#options);
    const isCurrent = () => client === this.#client;
    // Without a listener, ioredis would print every failed attempt.
    client.on('error', (error: unknown) => isCurrent() && this.#breaker.failed(reasonOf(error)));
    // Ready means that Redis has answered the initial commands.
    client.on('ready', () => isCurrent() && this.#breaker.succeeded());
    return client;
  }

  #logState(open: boolean, reason: string): void {
    const { subject, log } = this.#options;
    if (open) log.warn(`${subject} does not answer (${reason}); requests go on without it`);
    else log.info(`${subject} answers again`);
  }
}

/** Whether Redis refused a command because the key holds a value of another type. */
export function isWrongType(error: unknown): boolean {
  return isRefusal(error) && error.message.startsWith('WRONGTYPE');
}

/** Whether the error is an error reply of Redis. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Returns a code or name for the log, never the message, which may quote what was sent. */
export function reasonOf(error: unknown): string {
  if (error instanceof StoreUnavailable) return error.message;
  if (isRefusal(error)) return /^[A-Z]+(?= )/.exec(error.message)?.[0] ?? error.name;
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
