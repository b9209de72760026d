import { randomBytes } from 'node:crypto';
import type { ByteBudget } from '../../shared/bytes/budget.ts';
import type { RedisConnection } from '../../shared/redis/connection.ts';
import { type CallView, maxFramesAtOnce, RelayFollower } from './relay-follower.ts';
import { FrameSeal, maxSealedBytes } from './relay-frame.ts';
import { RelayPublisher, type SealedFrame } from './relay-publisher.ts';
import { type RelayTiming, usualTiming } from './relay-timing.ts';
import type { Lease, Relay, RelayFollowing, RelayReader } from './relay.ts';
import type { Seal } from './seal.ts';

// A lease is a string that holds a token and has a time to live. Any other value is replaced.
// KEYS: lease. ARGV: token, lease ms.
const acquireScript = `
if redis.call('TYPE', KEYS[1]).ok == 'string' then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left <= tonumber(ARGV[2]) then return 0 end
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

// Publishes a frame and renews the lease, or takes it again if it has expired. Returns 0 if another
// gateway holds the lease. KEYS: lease, live. ARGV: token, lease ms, live ms, last ('1' releases the
// lease), then optionally a frame: number, kind, value, number of frames to keep.
const publishScript = `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'string' and redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] then return 0 end
if kind ~= 'string' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
if #ARGV > 4 then
  local id = ARGV[5] .. '-0'
  local live = redis.call('TYPE', KEYS[2]).ok
  if live ~= 'stream' then redis.call('DEL', KEYS[2]) end
  if live ~= 'stream' or #redis.call('XRANGE', KEYS[2], id, id) == 0 then
    redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[8], id, ARGV[6], ARGV[7])
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if ARGV[4] == '1' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1`;

// KEYS: lease, live (without its token). ARGV: token or '', number of the first frame, most frames,
// most bytes of a frame. Returns token, holder, and the frames, or false in place of the frames if no
// gateway can have published them.
const lookScript = `
local holder = ''
if redis.call('TYPE', KEYS[1]).ok == 'string' then holder = redis.call('GETRANGE', KEYS[1], 0, 63) end
local token = ARGV[1]
if token == '' then token = holder end
local live = KEYS[2] .. ':' .. token
if redis.call('TYPE', live).ok ~= 'stream' then return {token, holder, {}} end
local frames = {}
for i, entry in ipairs(redis.call('XRANGE', live, ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
  local fields = entry[2]
  if #fields ~= 2 or #fields[1] > 8 or #fields[2] > tonumber(ARGV[4]) then return {token, holder, false} end
  frames[i] = {entry[1], fields[1], fields[2]}
end
return {token, holder, frames}`;

export interface RedisRelayOptions {
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  /** Seals the published frames. */
  readonly seal: Seal;
  /** Charged for the bytes waiting to be published. */
  readonly budget: ByteBudget;
  readonly timing?: RelayTiming;
}

/** A relay over Redis. Each call has a short lease with a unique token, and a Redis stream. */
export class RedisRelay implements Relay {
  readonly #options: RedisRelayOptions;
  readonly #timing: RelayTiming;
  readonly #publishers = new Set<RelayPublisher>();
  readonly #followers = new Set<RelayFollower>();

  constructor(options: RedisRelayOptions) {
    this.#options = options;
    this.#timing = options.timing ?? usualTiming;
  }

  async lease(key: string): Promise<Lease | null> {
    const token = randomBytes(16).toString('hex');
    const { leaseMs } = this.#timing;
    const isTaken = await this.#run(acquireScript, [this.#name('lease', key)], [token, leaseMs]);
    if (isTaken === 0) return null;
    if (isTaken !== 1) throw new Error('Redis gave an unexpected reply to a lease request');
    const publisher = new RelayPublisher({
      publish: (frame, isLast) => this.#publish(key, token, frame, isLast),
      seal: this.#sealOf(key, token),
      budget: this.#options.budget,
      timing: this.#timing,
      ended: () => this.#publishers.delete(publisher),
    });
    this.#publishers.add(publisher);
    return publisher;
  }

  follow(key: string, reader: RelayReader): RelayFollowing {
    const follower = new RelayFollower({
      look: (token, number) => this.#look(key, token, number),
      sealOf: (token) => this.#sealOf(key, token),
      reader,
      timing: this.#timing,
      ended: () => this.#followers.delete(follower),
    });
    this.#followers.add(follower);
    return follower;
  }

  /** Stops publishing and following. Calls under way go on, each for its own gateway only. */
  close(): void {
    for (const publisher of this.#publishers) publisher.close();
    for (const follower of this.#followers) follower.fail();
  }

  async #publish(
    key: string,
    token: string,
    frame: SealedFrame | null,
    isLast: boolean,
  ): Promise<boolean> {
    const { leaseMs, liveMs } = this.#timing;
    const keys = [this.#name('lease', key), this.#live(key, token)];
    const of = frame === null ? [] : [frame.number, frame.kind, frame.sealed, frame.keep];
    const args = [token, leaseMs, liveMs, isLast ? '1' : '0', ...of];
    return (await this.#run(publishScript, keys, args)) === 1;
  }

  async #look(key: string, token: string | null, number: number): Promise<CallView> {
    const keys = [this.#name('lease', key), this.#name('live', key)];
    const args = [token ?? '', number, maxFramesAtOnce, maxSealedBytes];
    const [followed, holder, frames] = (await this.#run(lookScript, keys, args)) as [
      Buffer,
      Buffer,
      readonly (readonly [Buffer, Buffer, Buffer])[] | null,
    ];
    return {
      token: tokenIn(followed),
      holder: tokenIn(holder),
      frames:
        frames?.map(([id, kind, sealed]) => ({
          id: id.toString(),
          kind: kind.toString(),
          sealed,
        })) ?? null,
    };
  }

  /** Runs a script. Replies come as Buffers. */
  #run(
    script: string,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    return this.#options.connection.run((client) =>
      client.callBuffer('EVAL', script, keys.length, ...keys, ...args),
    );
  }

  #sealOf(key: string, token: string): FrameSeal {
    return new FrameSeal(this.#options.seal, [this.#options.keyPrefix, key, token]);
  }

  #live(key: string, token: string): string {
    return `${this.#name('live', key)}:${token}`;
  }

  /** The hash tag puts all names of a key into one slot, so that the scripts run on a cluster. */
  #name(kind: string, key: string): string {
    return `${this.#options.keyPrefix}${kind}:{${key}}`;
  }
}

/** Returns the token, or null if no gateway can have made it. */
function tokenIn(bytes: Buffer): string | null {
  const text = bytes.toString('latin1');
  return /^[0-9a-f]{32}$/.test(text) ? text : null;
}
