import type { Redis } from 'ioredis';
import { isObject } from '../../shared/json/json.ts';
import type { EntryHead } from '../entry.ts';
import type { RedisConnection } from '../../shared/redis/connection.ts';
import { isIn, type Purge } from './purge-log.ts';

export interface PurgeListener {
  purged(purge: Purge): void;
  /** Called when purges may have been missed. */
  missed(): void;
}

export interface PurgeListening {
  /** Whether every purge is received at the moment. */
  readonly isHearing: boolean;
  stop(): void;
}

/** How many purges are remembered, and for how long: longer than any call takes. */
const maxNoted = 100;
const notedMs = 3_600_000;
/** More than a call to Redis can take, plus any clock adjustment. */
const slackMs = 5000;
const retryMs = 500;
/** How often the connection is pinged. */
const pingMs = 1000;

// Logs a purge. KEYS: the log. ARGV: how many to remember, for how many milliseconds, the purge.
const noteScript = `
local type = redis.call('TYPE', KEYS[1]).ok
if type ~= 'stream' and type ~= 'none' then redis.call('DEL', KEYS[1]) end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'purge', ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

// KEYS: the log. ARGV: how many milliseconds to look back, how many purges are remembered. Returns
// the time, the oldest id if older purges may be forgotten, and the purges of those milliseconds.
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
 * Announces each purge to every gateway. Purges are timed by Redis's clock, because the gateways'
 * clocks differ.
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

  /** Publishes a purge to all gateways. Rejects if Redis fails. */
  async tell(purge: Purge): Promise<void> {
    await this.#connection.run((client) => client.publish(this.#name, JSON.stringify(purge)));
  }

  /** Logs a purge. Call it before the purge, so that gateways do not store answers requested earlier. */
  async note(purge: Purge): Promise<void> {
    const text = JSON.stringify(purge);
    await this.#connection.run((client) =>
      client.call('EVAL', noteScript, 1, this.#log, maxNoted, notedMs, text),
    );
  }

  /** Whether a purge after `askedAt`, by `performance.now()`, covers the entry. True if older purges may be forgotten. */
  async covers(key: string, head: EntryHead, askedAt: number): Promise<boolean> {
    const lookBackMs = Math.ceil(performance.now() - askedAt) + slackMs;
    const [now, oldest, purges] = (await this.#connection.run((client) =>
      client.call('EVAL', sinceScript, 1, this.#log, lookBackMs, maxNoted),
    )) as Noted;
    // The earliest possible time: the call may have spent its time before Redis replied, or after.
    const askedAtRedis = Math.floor(now - (performance.now() - askedAt));
    if (oldest !== '' && timeOf(oldest) >= askedAtRedis) return true;
    return purges.some(([id, fields]) => {
      if (timeOf(id) < askedAtRedis) return false;
      const purge = parsePurge(fields[fields.indexOf('purge') + 1] ?? '');
      // A newer gateway may have logged a purge that this one does not understand.
      return purge === null || isIn(purge, key, head);
    });
  }

  /** Subscribes to the purges of all gateways, including this one. Takes effect once `isHearing` is true. */
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
      // If no reply comes, the client's socketTimeout closes the connection.
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
    if (client === null) return this.#retryLater();
    // The store's main connection logs errors.
    client.on('error', () => {});
    client.on('ready', () => {
      client.subscribe(this.#channel).then(
        () => this.#startHearing(client),
        () => client.disconnect(),
      );
    });
    client.on('message', (_channel: string, text: string) => {
      if (this.#client === client) this.#receive(text);
    });
    client.on('end', () => {
      if (this.#client !== client) return;
      this.#client = null;
      this.#stopHearing();
      this.#retryLater();
    });
    client.on('close', () => this.#client === client && this.#stopHearing());
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => this.#open(), retryMs).unref();
  }

  #startHearing(client: Redis): void {
    if (this.#client !== client) return;
    this.#listener.missed();
    this.#isHearing = true;
  }

  #stopHearing(): void {
    if (!this.#isHearing) return;
    this.#isHearing = false;
    this.#listener.missed();
  }

  #receive(text: string): void {
    const purge = parsePurge(text);
    // A newer gateway may have sent a purge that this one does not understand.
    if (purge === null) this.#listener.missed();
    else this.#listener.purged(purge);
  }
}

/** The time of a stream entry, by Redis's clock, in milliseconds since the epoch. */
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
