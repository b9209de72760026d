import { randomUUID } from 'node:crypto';
import type { Log } from '../../shared/log.ts';
import { reasonOf, type RedisConnection } from '../../shared/redis/connection.ts';
import { GroupedSums, groupNamed, movedBy, nameOf, otherGroup } from '../grouped-sums.ts';
import {
  asksFor,
  dayMs,
  dayOf,
  type Group,
  type Ledger,
  type LedgerBounds,
  type LedgerQuery,
  type LedgerReport,
  type Line,
  oldestDay,
  reportOf,
} from '../ledger.ts';
import { Drain } from '../sinks/drain.ts';
import { TroubleLog } from '../sinks/trouble-log.ts';
import type { SinkStats } from '../sinks/sink.ts';
import type { UsageRecord } from '../usage-record.ts';
import { addScript, daysScript, toleranceMs } from './redis-scripts.ts';
import { RedisSums } from './redis-sums.ts';
import { RedisTime } from './redis-time.ts';

export interface RedisLedgerOptions extends LedgerBounds {
  /** `close` disconnects it too; a later use reconnects. */
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** A monotonic clock, in milliseconds. */
  readonly running?: () => number;
}

const gatherMs = 200;
const retryMs = 1000;
const timeoutMs = 1000;
/** Keeps one script call within milliseconds. */
const groupsPerBatch = 250;
/** COUNT of each HSCAN of a report. */
const scanStep = 1000;

/** Thrown if the clock of Redis gives no time, or another one each time. */
class ClockFault extends Error {}

/** The lines of one call. They stay here until Redis confirms them, since a reply may be lost. */
interface Batch {
  readonly sequence: number;
  readonly lines: readonly Line[];
}

/**
 * A ledger in Redis, shared by all its gateways; days follow Redis's own clock. Sequence numbers
 * make retries idempotent, so each request counts once even if a reply is lost. While Redis fails,
 * a bounded set of sums waits here and is retried.
 */
export class RedisLedger implements Ledger {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #trouble: TroubleLog;
  readonly #time: RedisTime;
  readonly #instance = randomUUID();
  readonly #pending = new GroupedSums();
  readonly #drain: Drain;
  #bounds: LedgerBounds;
  #batch: Batch | null = null;
  #sequence = 0;
  #loggedLost = 0n;

  constructor(options: RedisLedgerOptions) {
    const { now = Date.now, running = () => performance.now() } = options;
    this.#connection = options.connection;
    // The hash tag puts all keys into one cluster slot, since the script uses them together.
    this.#prefix = `${options.keyPrefix}{ledger}:`;
    const target = 'the ledger in Redis';
    this.#trouble = new TroubleLog(options.log, { target, action: `add to ${target}` });
    this.#time = new RedisTime(now(), running);
    this.#bounds = options;
    this.#drain = new Drain({
      gatherMs,
      retryMs,
      handOver: () => this.#sendAll(),
      isEmpty: () => this.#batch === null && this.#pending.isEmpty,
    });
  }

  record(record: UsageRecord): void {
    const day = dayOf(this.#time.now() - record.duration_ms);
    this.#pending.add(record, day, this.#bounds.maxGroups);
    this.#drain.schedule();
  }

  /** Tries to send pending sums first. Rejects if Redis cannot be read. */
  async query(query: LedgerQuery): Promise<LedgerReport> {
    await this.flush();
    const all = await this.#days();
    // Read after #days(), which has just synchronized the time.
    const oldest = this.#oldest;
    const days = all.filter((day) => isDay(day) && day >= oldest);
    const lines: Line[] = [];
    for (const day of days) {
      if (!asksFor(query, day)) continue;
      for (const line of await this.#linesOf(day)) lines.push(line);
    }
    return reportOf(lines, query.groupBy, days);
  }

  /** A longer retention applies to days written from now on. */
  configure(bounds: LedgerBounds): void {
    this.#bounds = bounds;
  }

  stats(): SinkStats {
    return this.#trouble.stats();
  }

  /** Tries once; if Redis fails, the sums stay pending and are retried later. */
  flush(): Promise<void> {
    return this.#drain.flush();
  }

  /** Sends nothing, since nothing asynchronous can run; logs how many requests are lost. */
  flushSync(): void {
    const lost = this.#unconfirmed();
    if (lost === this.#loggedLost) return;
    this.#loggedLost = lost;
    if (lost === 0n) return;
    this.#trouble.say('error', `${lost} requests are missing from the ledger in Redis at exit`);
  }

  async close(): Promise<void> {
    await this.flush();
    this.#drain.stop();
    this.flushSync();
    this.#connection.close();
  }

  /** Sends everything pending at the time of the call. Rejects if Redis refuses it. */
  async #sendAll(): Promise<void> {
    let left = this.#pending.size + (this.#batch?.lines.length ?? 0);
    try {
      while (left > 0) {
        this.#batch ??= {
          sequence: ++this.#sequence,
          lines: this.#pending.take(Math.min(left, groupsPerBatch)),
        };
        left -= this.#batch.lines.length;
        // A wrong clock makes the first call fail and redate the lines, so the second can succeed.
        if (!(await this.#send(this.#batch)) && !(await this.#send(this.#batch))) {
          throw new ClockFault('the clock of Redis is not stable');
        }
        this.#batch = null;
      }
    } catch (error) {
      this.#trouble.failed(error instanceof ClockFault ? error.message : reasonOf(error));
      throw error;
    }
    this.#trouble.recovered();
  }

  /**
   * Resolves to whether Redis counted the batch: false if this gateway's estimate of its clock was
   * wrong.
   */
  async #send({ sequence, lines }: Batch): Promise<boolean> {
    const now = this.#time.now();
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
      now,
      sequence,
      oldest,
      dayOf(now),
      maxGroups,
      keptMs,
      days.length,
      ...days.flatMap((day) => [day, Math.ceil(Date.parse(day) + keptMs - now)]),
      ...kept.flatMap((line) => argumentsOf(line, days)),
    ];
    const [isCounted, time] = (await this.#connection.run(
      (client) => client.call('EVAL', addScript, keys.length, ...keys, ...args),
      timeoutMs,
    )) as [isCounted: 0 | 1, time: unknown];
    this.#syncTime(time);
    return isCounted === 1;
  }

  async #days(): Promise<readonly string[]> {
    const [time, days] = (await this.#connection.run(
      (client) => client.call('EVAL', daysScript, 1, this.#daysKey),
      timeoutMs,
    )) as [time: unknown, days: string[]];
    this.#syncTime(time);
    return days;
  }

  /**
   * Adopts the time that Redis reports, and redates the pending lines if the estimate was off by
   * days.
   */
  #syncTime(time: unknown): void {
    if (!isTime(time)) throw new ClockFault('Redis returned no valid time');
    const aheadMs = this.#time.sync(time);
    if (Math.abs(aheadMs) <= toleranceMs) return;
    const days = Math.round(aheadMs / dayMs);
    if (days === 0) return;
    this.#pending.move(days);
    if (this.#batch === null) return;
    const { sequence, lines } = this.#batch;
    this.#batch = { sequence, lines: lines.map((line) => movedBy(line, days)) };
  }

  async #linesOf(day: string): Promise<Line[]> {
    const key = this.#keyOf(day);
    const type = await this.#connection.run((client) => client.type(key), timeoutMs);
    if (type !== 'hash') return [];
    const groups = new Map<string, Group>([['0', otherGroup(day)]]);
    const sums = new Map<string, RedisSums>();
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, fields] = await this.#connection.run(
        (client) => client.hscan(key, cursor, 'COUNT', scanStep),
        timeoutMs,
      );
      cursor = next;
      for (let at = 0; at < fields.length; at += 2) {
        const [field = '', value = ''] = fields.slice(at, at + 2);
        if (field.startsWith('group:')) groups.set(value, groupNamed(field.slice(6), day));
        else readSum(sums, field, value);
      }
    }
    // A group added during the scan may have sums without a name.
    return [...sums].flatMap(([id, sum]) => {
      const group = groups.get(id);
      return group === undefined ? [] : [{ group, sums: sum.read() }];
    });
  }

  /** Returns how many requests Redis has not confirmed. */
  #unconfirmed(): bigint {
    const lines = [...(this.#batch?.lines ?? []), ...this.#pending.lines()];
    return lines.reduce((sum, line) => sum + line.sums.requests, 0n);
  }

  get #oldest(): string {
    return oldestDay(this.#time.now(), this.#bounds);
  }

  get #daysKey(): string {
    return `${this.#prefix}days`;
  }

  #keyOf(day: string): string {
    return `${this.#prefix}day:${day}`;
  }
}

function isDay(name: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(name);
}

function argumentsOf({ group, sums }: Line, days: readonly string[]): (string | number)[] {
  const fields = RedisSums.fieldsOf(sums);
  return [
    days.indexOf(group.day) + 1,
    nameOf(group),
    // Whether one of these requests cost something, or would have without the cache.
    sums.billed_requests + sums.exact + sums.semantic + sums.coalesced + sums.stale > 0n ? 1 : 0,
    fields.length,
    ...fields.flatMap(([name, sum]) => [name, String(sum)]),
  ];
}

/** Reads a field named "NUMBER:SUM". */
function readSum(all: Map<string, RedisSums>, field: string, value: string): void {
  const [id = '', name = ''] = field.split(':');
  if (name === '') return;
  let sums = all.get(id);
  if (sums === undefined) all.set(id, (sums = new RedisSums()));
  sums.set(name, value);
}

/** Whether a Date can represent the value. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 8.64e15;
}
