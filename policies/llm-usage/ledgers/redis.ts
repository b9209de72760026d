import { randomUUID } from 'node:crypto';
import type { Log } from '../../shared/log.ts';
import type { RedisConnection } from '../../shared/redis/connection.ts';
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
import type { SinkStats } from '../sinks/sink.ts';
import type { UsageRecord } from '../usage-record.ts';
import { addScript, daysScript, toleranceMs } from './redis-scripts.ts';
import { RedisSums } from './redis-sums.ts';
import { RedisTime } from './redis-time.ts';

export interface RedisLedgerOptions extends LedgerBounds {
  /** `close` disconnects it as well; a later use connects anew. */
  readonly connection: RedisConnection;
  readonly keyPrefix: string;
  readonly log?: Log;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Milliseconds by a clock that nothing sets. */
  readonly running?: () => number;
}

const gatherMs = 200;
const retryMs = 1000;
const timeoutMs = 1000;
/** Few enough for a script that is done within milliseconds. */
const groupsAtOnce = 250;
/** Fields that one step of a report asks for. */
const scanStep = 1000;

/** What Redis gets in one call; whether it has got it is not known until it says so. */
interface Batch {
  readonly sequence: number;
  readonly lines: readonly Line[];
}

/**
 * The sums of all gateways that share a Redis, kept there, by days of Redis's own clock. Each request
 * is counted once, also where an answer of Redis was lost; while Redis fails the sums wait here,
 * bounded, and are tried again.
 */
export class RedisLedger implements Ledger {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #log: Log | undefined;
  readonly #time: RedisTime;
  readonly #instance = randomUUID();
  readonly #pending = new GroupedSums();
  readonly #drain: Drain;
  #bounds: LedgerBounds;
  #batch: Batch | null = null;
  #sequence = 0;
  #failures = 0;
  #saidLost = 0n;

  constructor(options: RedisLedgerOptions) {
    const { now = Date.now, running = () => performance.now() } = options;
    this.#connection = options.connection;
    // One cluster slot for all, for the script has them all.
    this.#prefix = `${options.keyPrefix}{ledger}:`;
    this.#log = options.log;
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

  /** First sends what waits, as far as it can. Rejects where Redis cannot be asked. */
  async query(query: LedgerQuery): Promise<LedgerReport> {
    await this.flush();
    const all = await this.#days();
    // By the clock that has just been shown.
    const oldest = this.#oldest;
    const days = all.filter((day) => isDay(day) && day >= oldest);
    const lines: Line[] = [];
    for (const day of days) {
      if (!asksFor(query, day)) continue;
      for (const line of await this.#linesOf(day)) lines.push(line);
    }
    return reportOf(lines, query.groupBy, days);
  }

  /** A longer retention holds for days that are written from now on. */
  configure(bounds: LedgerBounds): void {
    this.#bounds = bounds;
  }

  stats(): SinkStats {
    return { dropped: 0, failures: this.#failures };
  }

  /** Tries once: where Redis fails the sums stay and are tried again. */
  flush(): Promise<void> {
    return this.#drain.flush();
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
    this.#drain.stop();
    this.flushSync();
    this.#connection.close();
  }

  /** Sends what waits now. Rejects where Redis does not take it. */
  async #sendAll(): Promise<void> {
    let left = this.#pending.size + (this.#batch?.lines.length ?? 0);
    try {
      while (left > 0) {
        this.#batch ??= {
          sequence: ++this.#sequence,
          lines: this.#pending.take(Math.min(left, groupsAtOnce)),
        };
        left -= this.#batch.lines.length;
        // Where the days were by a wrong clock they are put right, and sent again.
        if (!(await this.#send(this.#batch)) && !(await this.#send(this.#batch))) {
          throw new Error('the clock of Redis does not stand');
        }
        this.#batch = null;
      }
    } catch (error) {
      // The connection has said why.
      this.#failures++;
      throw error;
    }
  }

  /** Whether it is counted: not where this gateway was wrong about Redis's clock. */
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
    this.#show(time);
    return isCounted === 1;
  }

  async #days(): Promise<readonly string[]> {
    const [time, days] = (await this.#connection.run(
      (client) => client.call('EVAL', daysScript, 1, this.#daysKey),
      timeoutMs,
    )) as [time: unknown, days: string[]];
    this.#show(time);
    return days;
  }

  /** Redis's clock shows `time`: what waits was dated by what was thought of it. */
  #show(time: unknown): void {
    if (!isTime(time)) throw new Error('Redis tells no time');
    const aheadMs = this.#time.show(time);
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
    // A group that came during the scan may have sums without a name.
    return [...sums].flatMap(([id, sum]) => {
      const group = groups.get(id);
      return group === undefined ? [] : [{ group, sums: sum.read() }];
    });
  }

  /** How many requests are not known to be in Redis. */
  #waiting(): bigint {
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
    // Whether one of the requests in them cost something, or would have.
    sums.billed_requests + sums.exact + sums.semantic + sums.coalesced + sums.stale > 0n ? 1 : 0,
    fields.length,
    ...fields.flatMap(([name, sum]) => [name, String(sum)]),
  ];
}

/** A field is "NUMBER:SUM". */
function readSum(all: Map<string, RedisSums>, field: string, value: string): void {
  const [id = '', name = ''] = field.split(':');
  if (name === '') return;
  let sums = all.get(id);
  if (sums === undefined) all.set(id, (sums = new RedisSums()));
  sums.set(name, value);
}

/** What a Date can be. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 8.64e15;
}
