import { randomUUID } from 'node:crypto';
import type { Log } from '../../shared/log.ts';
import type { RedisConnection } from '../../shared/redis/connection.ts';
import { GroupedSums, groupNamed, nameOf, otherGroup, otherName } from '../grouped-sums.ts';
import {
  asksFor,
  dayMs,
  dayOf,
  type Group,
  isSumName,
  type Ledger,
  type LedgerBounds,
  type LedgerQuery,
  type LedgerReport,
  type Line,
  noSums,
  oldestDay,
  reportOf,
  type Sums,
} from '../ledger.ts';
import type { SinkStats } from '../sinks/sink.ts';
import type { UsageRecord } from '../usage-record.ts';

export interface RedisLedgerOptions extends LedgerBounds {
  /** `close` disconnects it as well; a later use connects anew. */
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  readonly log?: Log;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const gatherMs = 200;
const retryMs = 1000;
const timeoutMs = 1000;
/** Few enough for a script that is done within milliseconds. */
const groupsAtOnce = 250;
/** Fields that one step of a report asks for. */
const scanStep = 1000;

// KEYS: this gateway, the days, then each day of the batch.
// ARGV: sequence, oldest day, groups in all, milliseconds that the days live, number of days,
// a day and the milliseconds it lives for each of them, then the lines: which of the days, name,
// 1 where a request of it cost something, number of sums, name and value of each.
// A day has its groups ("group:NAME" is a number, "groups" their count) and their sums ("NUMBER:SUM").
const addScript = `
local last = tonumber(redis.call('HGET', KEYS[1], 'sequence') or '0')
local sequence = tonumber(ARGV[1])
if sequence <= last then return 0 end

-- What can be refused and does no harm twice comes before anything is counted, and first what
-- a full Redis refuses, for it lets a script go on that has written.
local known = redis.call('HGETALL', KEYS[2])
local counts = {}
for i = 1, #known, 2 do
  if known[i] >= ARGV[2] then counts[known[i]] = tonumber(known[i + 1]) end
end
local days = tonumber(ARGV[5])
for i = 1, days do
  local day = ARGV[4 + 2 * i]
  counts[day] = tonumber(redis.call('HGET', KEYS[2 + i], 'groups') or '0')
  redis.call('HSET', KEYS[2], day, counts[day])
end
for i = 1, #known, 2 do
  if known[i] < ARGV[2] then redis.call('HDEL', KEYS[2], known[i]) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local inUse = 0
for _, count in pairs(counts) do inUse = inUse + count end

redis.call('HINCRBY', KEYS[1], 'sequence', sequence - last)
redis.call('PEXPIRE', KEYS[1], 86400000)
local at = 6 + 2 * days
while at <= #ARGV do
  local key, name, paid, sums = KEYS[2 + ARGV[at]], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local id = '0'
  if name ~= '${otherName}' then
    id = redis.call('HGET', key, 'group:' .. name)
    local room = tonumber(ARGV[3])
    if paid == '0' then room = room / 2 end
    if not id and inUse < room then
      inUse = inUse + 1
      id = tostring(redis.call('HINCRBY', key, 'groups', 1))
      redis.call('HSET', key, 'group:' .. name, id)
    end
    id = id or '0'
  end
  for i = at + 4, at + 2 + 2 * sums, 2 do
    -- A sum that is full stays as it is; the others go on.
    redis.pcall('HINCRBY', key, id .. ':' .. ARGV[i], ARGV[i + 1])
  end
  at = at + 4 + 2 * sums
end
for i = 1, days do
  redis.call('HSET', KEYS[2], ARGV[4 + 2 * i], redis.call('HGET', KEYS[2 + i], 'groups') or '0')
  redis.call('PEXPIRE', KEYS[2 + i], ARGV[5 + 2 * i])
end
return 1`;

/** What Redis gets in one call; whether it has got it is not known until it says so. */
interface Batch {
  readonly sequence: number;
  readonly lines: readonly Line[];
}

/**
 * The sums of all gateways that share a Redis, kept there. Each request is counted once, also where
 * an answer of Redis was lost; while Redis fails the sums wait here, bounded, and are tried again.
 */
export class RedisLedger implements Ledger {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #log: Log | undefined;
  readonly #now: () => number;
  readonly #instance = randomUUID();
  readonly #pending = new GroupedSums();
  #bounds: LedgerBounds;
  #batch: Batch | null = null;
  #sequence = 0;
  #draining: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #saidLost = 0n;

  constructor(options: RedisLedgerOptions) {
    this.#connection = options.connection;
    // One cluster slot for all, for the script has them all.
    this.#prefix = `${options.keyPrefix}{ledger}:`;
    this.#log = options.log;
    this.#now = options.now ?? Date.now;
    this.#bounds = options;
  }

  record(record: UsageRecord): void {
    if (dayOf(record) < this.#oldest) return;
    this.#pending.add(record, this.#bounds.maxGroups);
    this.#schedule(gatherMs);
  }

  /** First sends what waits, as far as it can. Rejects where Redis cannot be asked. */
  async query(query: LedgerQuery): Promise<LedgerReport> {
    await this.flush();
    const oldest = this.#oldest;
    const days = await this.#connection.run((client) => client.hkeys(this.#daysKey), timeoutMs);
    const lines: Line[] = [];
    for (const day of days) {
      if (day < oldest || !asksFor(query, day)) continue;
      for (const line of await this.#linesOf(day)) lines.push(line);
    }
    return reportOf(lines, query.groupBy);
  }

  /** A longer retention holds for days that are written from now on. */
  configure(bounds: LedgerBounds): void {
    this.#bounds = bounds;
  }

  stats(): SinkStats {
    return { dropped: 0, failures: this.#failures };
  }

  /** Tries once: where Redis fails the sums stay and are tried again. */
  async flush(): Promise<void> {
    // What is being sent may have left without the newest records.
    await this.#draining;
    await this.#drain();
  }

  /** Nothing can be sent any more; says how many requests that leaves out. */
  flushSync(): void {
    const lost = this.#waiting();
    if (lost === this.#saidLost) return;
    this.#saidLost = lost;
    if (lost === 0n) return;
    try {
      this.#log?.error(`llm-usage: at the end ${lost} requests are not in the ledger in Redis`);
    } catch {
      // A logger that fails must not stop the rest of the ending.
    }
  }

  async close(): Promise<void> {
    await this.flush();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.flushSync();
    this.#connection.close();
  }

  #schedule(ms: number): void {
    // Who drains looks for newer records when it is done.
    if (this.#draining !== null) return;
    this.#timer ??= setTimeout(() => void this.#drain(), ms).unref();
  }

  #drain(): Promise<void> {
    this.#draining ??= this.#sendAll().then((wait) => {
      this.#draining = null;
      if (this.#batch !== null || !this.#pending.isEmpty) this.#schedule(wait);
    });
    return this.#draining;
  }

  /** Sends what waits now; returns in how many milliseconds to come again. */
  async #sendAll(): Promise<number> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    let left = this.#pending.size + (this.#batch?.lines.length ?? 0);
    try {
      while (left > 0) {
        this.#batch ??= {
          sequence: ++this.#sequence,
          lines: this.#pending.take(Math.min(left, groupsAtOnce)),
        };
        await this.#send(this.#batch);
        left -= this.#batch.lines.length;
        this.#batch = null;
      }
      return gatherMs;
    } catch {
      // The connection has said why.
      this.#failures++;
      return retryMs;
    }
  }

  async #send({ sequence, lines }: Batch): Promise<void> {
    const oldest = this.#oldest;
    const kept = lines.filter(({ group }) => group.day >= oldest);
    const days = [...new Set(kept.map(({ group }) => group.day))];
    const keys = [
      `${this.#prefix}from:${this.#instance}`,
      this.#daysKey,
      ...days.map((day) => this.#keyOf(day)),
    ];
    const { retentionDays, maxGroups } = this.#bounds;
    const keptMs = (retentionDays + 1) * dayMs;
    const args = [
      sequence,
      oldest,
      maxGroups,
      keptMs,
      days.length,
      ...days.flatMap((day) => [day, Math.ceil(Date.parse(day) + keptMs - this.#now())]),
      ...kept.flatMap((line) => argumentsOf(line, days)),
    ];
    await this.#connection.run(
      (client) => client.call('EVAL', addScript, keys.length, ...keys, ...args),
      timeoutMs,
    );
  }

  async #linesOf(day: string): Promise<Line[]> {
    const groups = new Map<string, Group>([['0', otherGroup(day)]]);
    const sums = new Map<string, Sums>();
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, fields] = await this.#connection.run(
        (client) => client.hscan(this.#keyOf(day), cursor, 'COUNT', scanStep),
        timeoutMs,
      );
      cursor = next;
      for (let at = 0; at < fields.length; at += 2) {
        const [field = '', value = ''] = fields.slice(at, at + 2);
        if (field.startsWith('group:')) groups.set(value, groupNamed(field.slice(6), day));
        else readSum(sums, field, value);
      }
    }
    // A group that came during the scan may have sums without a name.
    return [...sums].flatMap(([id, sum]) => {
      const group = groups.get(id);
      return group === undefined ? [] : [{ group, sums: sum }];
    });
  }

  /** How many requests are not known to be in Redis. */
  #waiting(): bigint {
    const lines = [...(this.#batch?.lines ?? []), ...this.#pending.lines()];
    return lines.reduce((sum, line) => sum + line.sums.requests, 0n);
  }

  get #oldest(): string {
    return oldestDay(this.#now(), this.#bounds);
  }

  get #daysKey(): string {
    return `${this.#prefix}days`;
  }

  #keyOf(day: string): string {
    return `${this.#prefix}day:${day}`;
  }
}

function argumentsOf({ group, sums }: Line, days: readonly string[]): (string | number)[] {
  const some = Object.entries(sums).filter(([, sum]) => sum !== 0n);
  return [
    days.indexOf(group.day) + 1,
    nameOf(group),
    hasPaid(sums) ? 1 : 0,
    some.length,
    ...some.flatMap(([name, sum]) => [name, String(sum)]),
  ];
}

/** Whether one of the requests in them cost something, or would have. */
function hasPaid(sums: Sums): boolean {
  const { billed_requests: billed, exact, semantic, coalesced, stale } = sums;
  return billed + exact + semantic + coalesced + stale > 0n;
}

function readSum(sums: Map<string, Sums>, field: string, value: string): void {
  const [id = '', name = ''] = field.split(':');
  if (!isSumName(name)) return;
  let sum = sums.get(id);
  if (sum === undefined) sums.set(id, (sum = noSums()));
  sum[name] = BigInt(value);
}
