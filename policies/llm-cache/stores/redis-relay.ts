import type { Encryption } from './encryption.ts';
import type { CallOutcome, Lease, Relay, RelayFollowing, RelayReader } from './relay.ts';

/** Runs a Lua script under the store's deadline and breaker; replies come as Buffers. */
export type RunScript = (
  script: string,
  keys: readonly string[],
  args: readonly (string | number | Uint8Array)[],
) => Promise<unknown>;

const leaseMs = 5000;
const renewMs = 1500;
const gatherMs = 20;
const pollMs = 25;
/** How long what a call published stays readable. */
const liveMs = 60_000;
/** Bytes that may wait to be published; past them the others are left to themselves. */
const maxPendingBytes = 16 * 1024 * 1024;

// KEYS: lease, fence. The fencing token grows with every lease on the key.
const acquireScript = `
if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local token = redis.call('INCR', KEYS[2])
redis.call('PEXPIRE', KEYS[2], 86400000)
redis.call('SET', KEYS[1], token, 'PX', ARGV[1])
return tostring(token)`;

// KEYS: lease, live. ARGV: token, lease ms, live ms, last ('1' gives the lease up), fields.
// A gateway that has lost the lease publishes nothing any more.
const publishScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV > 4 then
  redis.call('XADD', KEYS[2], '*', unpack(ARGV, 5))
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
if ARGV[4] == '1' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`;

// KEYS: lease, live (without its token). ARGV: token or '', last id read.
const readScript = `
local lease = redis.call('GET', KEYS[1])
local token = ARGV[1]
if token == '' then token = lease end
if not token then return {false, false, {}} end
local entries = redis.call('XRANGE', KEYS[2] .. ':' .. token, '(' .. ARGV[2], '+', 'COUNT', 500)
return {token, lease, entries}`;

/** The relay over Redis: a short lease with a fencing token, and a stream of its own for each call. */
export class RedisRelay implements Relay {
  readonly #run: RunScript;
  readonly #prefix: string;
  readonly #encryption: Encryption | null;

  /** What is published is encrypted as entries are. */
  constructor(run: RunScript, keyPrefix: string, encryption: Encryption | null) {
    this.#run = run;
    this.#prefix = keyPrefix;
    this.#encryption = encryption;
  }

  async lease(key: string): Promise<Lease | null> {
    const token = await this.#run(
      acquireScript,
      [this.#name('lease', key), this.#name('fence', key)],
      [leaseMs],
    );
    if (!Buffer.isBuffer(token)) return null;
    const live = `${this.#name('live', key)}:${token.toString()}`;
    const keys = [this.#name('lease', key), live];
    return new RedisLease((fields, isLast) => {
      const [name, value] = fields;
      const sealed = name === undefined ? [] : [name, this.#seal(live, value ?? '')];
      const last = isLast ? '1' : '0';
      const args = [token.toString(), leaseMs, liveMs, last, ...sealed];
      return this.#run(publishScript, keys, args);
    });
  }

  follow(key: string, reader: RelayReader): RelayFollowing {
    const keys = [this.#name('lease', key), this.#name('live', key)];
    const following = new RedisFollowing(
      (token, lastId) => this.#run(readScript, keys, [token, lastId]),
      (token, value) => this.#open(`${this.#name('live', key)}:${token}`, value),
      reader,
    );
    following.start();
    return following;
  }

  #seal(name: string, value: string | Uint8Array): Uint8Array {
    const bytes = Buffer.from(value);
    return this.#encryption?.encrypt(name, bytes) ?? bytes;
  }

  #open(name: string, value: Buffer): Buffer | undefined {
    return this.#encryption === null ? value : this.#encryption.decrypt(name, value);
  }

  /** In one hash slot for each key, so that the scripts run on a cluster. */
  #name(kind: string, key: string): string {
    return `${this.#prefix}${kind}:{${key}}`;
  }
}

type Publish = (fields: readonly (string | Uint8Array)[], isLast: boolean) => Promise<unknown>;

class RedisLease implements Lease {
  readonly #publish: Publish;
  readonly #renewal: NodeJS.Timeout;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> = Promise.resolve();
  #lost = false;

  constructor(publish: Publish) {
    this.#publish = publish;
    this.#renewal = setInterval(() => this.#send([]), renewMs).unref();
  }

  head(headers: Readonly<Record<string, string>>): void {
    this.#send(['head', JSON.stringify(headers)]);
  }

  chunk(bytes: Uint8Array): void {
    if (this.#lost) return;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > maxPendingBytes) return this.#lose();
    this.#timer ??= setTimeout(() => this.#flush(), gatherMs);
  }

  async end(outcome: CallOutcome): Promise<void> {
    clearInterval(this.#renewal);
    this.#flush();
    this.#send(['end', outcome], true);
    await this.#sending;
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const bytes = this.#pending;
    if (bytes.length === 0) return;
    this.#pending = [];
    this.#send(['bytes', Buffer.concat(bytes)], false, this.#pendingBytes);
    this.#pendingBytes = 0;
  }

  /** One after the other; the first that does not arrive ends the publishing. */
  #send(fields: readonly (string | Uint8Array)[], isLast = false, size = 0): void {
    this.#inFlight += size;
    if (this.#inFlight > maxPendingBytes) this.#lose();
    this.#sending = this.#sending.then(async () => {
      this.#inFlight -= size;
      if (this.#lost) return;
      try {
        if ((await this.#publish(fields, isLast)) !== 1) this.#lose();
      } catch {
        this.#lose();
      }
    });
  }

  #inFlight = 0;

  #lose(): void {
    this.#lost = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    clearInterval(this.#renewal);
  }
}

type Read = (token: string, lastId: string) => Promise<unknown>;
type Open = (token: string, value: Buffer) => Buffer | undefined;

class RedisFollowing implements RelayFollowing {
  readonly #read: Read;
  readonly #open: Open;
  readonly #reader: RelayReader;
  #token = '';
  #lastId = '0-0';
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  constructor(read: Read, open: Open, reader: RelayReader) {
    this.#read = read;
    this.#open = open;
    this.#reader = reader;
  }

  start(): void {
    void this.#step();
  }

  stop(): void {
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #step(): Promise<void> {
    try {
      const [token, lease, entries] = (await this.#read(this.#token, this.#lastId)) as [
        Buffer | null,
        Buffer | null,
        [Buffer, Buffer[]][],
      ];
      this.#token = token?.toString() ?? '';
      for (const [id, fields] of entries) {
        this.#lastId = id.toString();
        this.#take(fields);
        if (this.#over) return;
      }
      const isHeld = lease !== null && lease.toString() === this.#token;
      if (!isHeld && entries.length === 0) return this.#fail();
    } catch {
      return this.#fail();
    }
    if (!this.#over) this.#timer = setTimeout(() => void this.#step(), pollMs);
  }

  #take([name, sealed]: Buffer[]): void {
    if (this.#over || name === undefined || sealed === undefined) return;
    const value = this.#open(this.#token, sealed);
    // Of a key that this gateway does not have, or not what was published.
    if (value === undefined) return this.#fail();
    switch (name.toString()) {
      case 'head':
        return this.#reader.head(JSON.parse(value.toString()) as Record<string, string>);
      case 'bytes':
        return this.#reader.chunk(value);
      default:
        this.stop();
        if (value.toString() === 'failed') this.#reader.fail();
        else this.#reader.end(value.toString() === 'stored');
    }
  }

  #fail(): void {
    if (this.#over) return;
    this.stop();
    this.#reader.fail();
  }
}
