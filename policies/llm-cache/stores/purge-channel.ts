import type { Redis } from 'ioredis';
import { isObject } from '../../shared/json/json.ts';
import type { EntryHead } from '../entry.ts';
import type { RedisConnection } from '../../shared/redis/connection.ts';
import { isIn, type Purge } from './purge-log.ts';

export interface PurgeListener {
  purged(purge: Purge): void;
  /** Purges may have been missed. */
  missed(): void;
}

export interface PurgeListening {
  /** Whether every purge is heard at the moment. */
  readonly isHearing: boolean;
  stop(): void;
}

/** Purges that are remembered, and for how long: longer than any call takes. */
const maxNoted = 100;
const notedMs = 3_600_000;
/** More than a call to Redis and its clock's steps can take. */
const slackMs = 5000;
const retryMs = 500;
/** How often a silent connection is asked whether it lives. */
const pingMs = 1000;

// KEYS: the log. ARGV: how many are remembered, for how many milliseconds, the purge.
const noteScript = `
local type = redis.call('TYPE', KEYS[1]).ok
if type ~= 'stream' and type ~= 'none' then redis.call('DEL', KEYS[1]) end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'purge', ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

// KEYS: the log. ARGV: of how many milliseconds, how many are remembered. Returns the time, the
// oldest id where some may be forgotten, and the purges of those milliseconds.
const sinceScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return {now, '', {}} end
local oldest = ''
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
end
local since = string.format('%.0f', math.max(0, now - ARGV[1]))
return {now, oldest, redis.call('XRANGE', KEYS[1], since, '+')}`;

type Noted = [now: number, oldest: string, purges: [id: string, fields: string[]][]];

/**
 * Tells every gateway what one of them throws out. When a purge was made is by Redis's own clock,
 * for those of the gateways differ.
 */
export class PurgeChannel {
  readonly #connection: RedisConnection;
  readonly #name: string;
  readonly #log: string;

  constructor(connection: RedisConnection, keyPrefix: string) {
    this.#connection = connection;
    this.#name = `${keyPrefix}purge`;
    this.#log = `${keyPrefix}purges`;
  }

  /** Rejects when it cannot be told. */
  async tell(purge: Purge): Promise<void> {
    await this.#connection.run((client) => client.publish(this.#name, JSON.stringify(purge)));
  }

  /** Before it is carried out, for who stores meanwhile what was asked for earlier. */
  async note(purge: Purge): Promise<void> {
    const text = JSON.stringify(purge);
    await this.#connection.run((client) =>
      client.call('EVAL', noteScript, 1, this.#log, maxNoted, notedMs, text),
    );
  }

  /** Whether the entry was thrown out after `askedAt`, by `performance.now()`. */
  async covers(key: string, head: EntryHead, askedAt: number): Promise<boolean> {
    const lookBackMs = Math.ceil(performance.now() - askedAt) + slackMs;
    const [now, oldest, purges] = (await this.#connection.run((client) =>
      client.call('EVAL', sinceScript, 1, this.#log, lookBackMs, maxNoted),
    )) as Noted;
    // As early as it can be: what the call to Redis took may have been before its answer, or after.
    const askedAtRedis = Math.floor(now - (performance.now() - askedAt));
    if (oldest !== '' && timeOf(oldest) >= askedAtRedis) return true;
    return purges.some(([id, fields]) => {
      if (timeOf(id) < askedAtRedis) return false;
      const purge = parsePurge(fields[fields.indexOf('purge') + 1] ?? '');
      // A newer gateway may have thrown out what this one does not understand.
      return purge === null || isIn(purge, key, head);
    });
  }

  /** Hears what all gateways tell, this one included, from a while after now on. */
  listen(listener: PurgeListener): PurgeListening {
    return new Listening(this.#connection, this.#name, listener);
  }
}

class Listening implements PurgeListening {
  readonly #connection: RedisConnection;
  readonly #channel: string;
  readonly #listener: PurgeListener;
  readonly #timer: NodeJS.Timeout;
  #client: Redis | null = null;
  #retry: NodeJS.Timeout | null = null;
  #isHearing = false;

  constructor(connection: RedisConnection, channel: string, listener: PurgeListener) {
    this.#connection = connection;
    this.#channel = channel;
    this.#listener = listener;
    this.#timer = setInterval(() => {
      // What does not answer is closed by the client's own socketTimeout.
      if (this.#isHearing) this.#client?.ping().catch(() => {});
    }, pingMs).unref();
    this.#open();
  }

  get isHearing(): boolean {
    return this.#isHearing;
  }

  stop(): void {
    clearInterval(this.#timer);
    if (this.#retry !== null) clearTimeout(this.#retry);
    const client = this.#client;
    this.#client = null;
    this.#isHearing = false;
    client?.disconnect();
  }

  #open(): void {
    this.#retry = null;
    const client = this.#connection.subscriber();
    this.#client = client;
    if (client === null) return this.#later();
    // The store's own connection tells of Redis.
    client.on('error', () => {});
    client.on('ready', () => {
      client.subscribe(this.#channel).then(
        () => this.#hear(client),
        () => client.disconnect(),
      );
    });
    client.on('message', (_channel: string, text: string) => {
      if (this.#client === client) this.#heard(text);
    });
    client.on('end', () => {
      if (this.#client !== client) return;
      this.#client = null;
      this.#lose();
      this.#later();
    });
    client.on('close', () => this.#client === client && this.#lose());
  }

  #later(): void {
    this.#retry ??= setTimeout(() => this.#open(), retryMs).unref();
  }

  #hear(client: Redis): void {
    if (this.#client !== client) return;
    this.#listener.missed();
    this.#isHearing = true;
  }

  #lose(): void {
    if (!this.#isHearing) return;
    this.#isHearing = false;
    this.#listener.missed();
  }

  #heard(text: string): void {
    const purge = parsePurge(text);
    // A newer gateway may say what this one does not know.
    if (purge === null) this.#listener.missed();
    else this.#listener.purged(purge);
  }
}

/** Of a stream's entry: by Redis's clock, in milliseconds since the epoch. */
function timeOf(id: string): number {
  return Number.parseInt(id, 10);
}

const filterMembers = new Set(['namespace', 'model', 'consumer']);

function parsePurge(text: string): Purge | null {
  let purge: unknown;
  try {
    purge = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(purge)) return null;
  const { key, filter } = purge;
  if (typeof key === 'string') return { key };
  if (!isObject(filter)) return null;
  const isKnown = Object.entries(filter).every(
    ([name, value]) => filterMembers.has(name) && typeof value === 'string',
  );
  return isKnown ? { filter } : null;
}
