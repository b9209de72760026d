import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  type Figures,
  groupFields,
  type GroupField,
  type Ledger,
  type LedgerBounds,
} from '../../policies/llm-usage/ledger.ts';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { record } from './sinks-records.ts';

export const noon = Date.parse('2026-01-31T12:00:00.000Z');

/** An empty ledger on a clock that the test controls. */
export interface LedgerUnderTest {
  readonly ledger: Ledger;
  readonly clock: { now: number };
}

export type OpenLedger = (bounds: LedgerBounds) => LedgerUnderTest;

/** Creates a billed record of 16 tokens without a price, with `parts` overridden. */
export function usage(parts: Partial<UsageRecord> = {}): UsageRecord {
  return { ...record(0), ...parts };
}

const on = (day: string, parts: Partial<UsageRecord> = {}) =>
  usage({ timestamp: `${day}T00:00:00.000Z`, ...parts });
const failed = (model: string) =>
  usage({ requested_model: model, model, billed: false, status: 400, total_tokens: null });
const named = (model: string) => usage({ requested_model: model, model });

const hostileNames = [
  '__proto__',
  'constructor',
  'toString',
  '',
  'null',
  'a:b',
  'group:x',
  'groups',
  '0',
  '0:requests',
  'line\nline',
  '"quoted"',
  "it's",
  '\u0000',
  'a\u0000b',
  '\\u0000',
  '{ledger}',
  '🦊',
  '\ud800',
  'Zoë',
  '["a",null]',
];

const name = fc.oneof(fc.constantFrom('a', 'b', ...hostileNames), fc.string({ unit: 'binary' }));
const nameOrNull = fc.option(name);
const tokens = fc.option(fc.nat(1_000_000));
const records = fc.array(
  fc
    .record({
      timestamp: fc.constantFrom(
        '2026-01-29T23:59:59.999Z',
        '2026-01-30T00:00:00.000Z',
        '2026-01-31T11:00:00.000Z',
      ),
      model: nameOrNull,
      requested_model: nameOrNull,
      provider: name,
      consumer_id: nameOrNull,
      api_endpoint: nameOrNull,
      cache_type: fc.constantFrom(null, null, 'exact', 'semantic', 'coalesced', 'stale'),
      billed: fc.boolean(),
      input_tokens: tokens,
      output_tokens: tokens,
      total_tokens: tokens,
      total_cost: fc.option(fc.double({ min: 0, max: 20_000, noNaN: true })),
    })
    .map((parts) => usage(parts)),
  { maxLength: 30 },
);

function figuresOf(all: readonly UsageRecord[]): Figures {
  const hits = all.filter((one) => one.cache_type !== null);
  const billed = all.filter((one) => one.billed);
  const sum = (of: readonly UsageRecord[], field: 'total' | 'input' | 'output') =>
    of.reduce((total, one) => total + (one[`${field}_tokens` as const] ?? 0), 0);
  const cost = (of: readonly UsageRecord[]) => {
    const priced = of.flatMap(({ total_cost: usd }) => (usd === null ? [] : [usd]));
    const pico = priced.reduce((total, usd) => total + BigInt(Math.round(usd * 1e12)), 0n);
    return priced.length === 0 ? null : Number(`${pico}e-12`);
  };
  const ofType = (type: UsageRecord['cache_type']) =>
    hits.filter((one) => one.cache_type === type).length;
  return {
    requests: all.length,
    hits: hits.length,
    hits_by_type: {
      exact: ofType('exact'),
      semantic: ofType('semantic'),
      coalesced: ofType('coalesced'),
      stale: ofType('stale'),
    },
    billed_requests: billed.length,
    billed_tokens: sum(billed, 'total'),
    saved_tokens: sum(hits, 'total'),
    billed_input_tokens: sum(billed, 'input'),
    billed_output_tokens: sum(billed, 'output'),
    saved_input_tokens: sum(hits, 'input'),
    saved_output_tokens: sum(hits, 'output'),
    billed_cost: cost(billed),
    saved_cost: cost(hits),
    unpriced_requests: all.filter(
      (one) => (one.billed || one.cache_type !== null) && one.total_cost === null,
    ).length,
  };
}

function fieldOf(one: UsageRecord, field: GroupField): string | null {
  return field === 'day' ? one.timestamp.slice(0, 10) : one[field];
}

/** Defines the tests that every ledger must pass. */
export function describeLedger(title: string, open: OpenLedger): void {
  const start = (bounds: Partial<LedgerBounds> = {}) => {
    const test = open({ retentionDays: 90, maxGroups: 1000, ...bounds });
    const { ledger, clock } = test;
    const take = ledger.record.bind(ledger);
    // A ledger dates a record by now minus its duration, so derive that from the timestamp.
    ledger.record = (one) => take({ ...one, duration_ms: clock.now - Date.parse(one.timestamp) });
    return test;
  };
  const add = (ledger: Ledger, ...all: readonly UsageRecord[]) => {
    for (const one of all) ledger.record(one);
  };
  /** Returns the number of requests by model, including `other`. */
  const requests = async (ledger: Ledger) => {
    const { rows } = await ledger.query({ groupBy: ['model'] });
    return Object.fromEntries(rows.map((row) => [row.model, row.requests]));
  };

  describe(title, () => {
    it(`${title} reconciles with its records to the token and the pico-dollar, by any fields`, async () => {
      await fc.assert(
        fc.asyncProperty(records, fc.subarray([...groupFields]), async (all, groupBy) => {
          const { ledger } = start();
          add(ledger, ...all);
          const report = await ledger.query({ groupBy });
          expect(report.total).to.deep.equal(figuresOf(all));

          const groups = new Map<string, UsageRecord[]>();
          for (const one of all) {
            const key = JSON.stringify(groupBy.map((field) => fieldOf(one, field)));
            groups.set(key, [...(groups.get(key) ?? []), one]);
          }
          expect(report.rows).to.have.length(groups.size);
          for (const row of report.rows) {
            const key = JSON.stringify(groupBy.map((field) => row[field]));
            const fields = Object.fromEntries(groupBy.map((field) => [field, row[field]]));
            const own = groups.get(key) ?? [];
            expect(row).to.deep.equal({ ...fields, ...figuresOf(own) });
          }
        }),
        { numRuns: 60 },
      );
    });

    it(`${title} has no rows, sums of zero and costs of null without records`, async () => {
      const { ledger } = start();
      expect(await ledger.query({ groupBy: ['day'] })).to.deep.equal({
        since: null,
        rows: [],
        total: figuresOf([]),
      });
      expect((await ledger.query({ groupBy: [] })).rows).to.deep.equal([]);
    });

    it(`${title} returns one row if no field is requested`, async () => {
      const { ledger } = start();
      add(ledger, named('a'), named('b'));
      const report = await ledger.query({ groupBy: [] });
      expect(report.rows).to.deep.equal([report.total]);
      expect(report.total.requests).to.equal(2);
    });

    it(`${title} sorts by day, then by most requests, then by name with null first`, async () => {
      const { ledger } = start();
      const day = (date: string, ...models: (string | null)[]) =>
        add(ledger, ...models.map((model) => on(date, { model })));
      day('2026-01-31', 'b', 'c', 'c', null);
      day('2026-01-30', 'z', 'y');
      const byDay = await ledger.query({ groupBy: ['model', 'day'] });
      expect(byDay.rows.map((row) => `${row.day} ${row.model}`)).to.deep.equal([
        '2026-01-30 y',
        '2026-01-30 z',
        '2026-01-31 c',
        '2026-01-31 null',
        '2026-01-31 b',
      ]);
      const { rows } = await ledger.query({ groupBy: ['model'] });
      expect(rows.map((row) => row.model)).to.deep.equal(['c', null, 'b', 'y', 'z']);
    });

    it(`${title} returns a cost of null only if nothing is priced`, async () => {
      const { ledger } = start();
      const hit = { cache_type: 'exact', billed: false } as const;
      add(
        ledger,
        usage({ total_cost: 0.1 }),
        usage({ total_cost: 0.2 }),
        usage({ total_cost: null }),
        usage({ ...hit, total_cost: null }),
        usage({ billed: false, total_cost: null }),
      );
      const before = await ledger.query({ groupBy: [] });
      expect(before.total).to.include({ billed_cost: 0.3, saved_cost: null, unpriced_requests: 2 });
      add(ledger, usage({ ...hit, total_cost: 0 }));
      const after = await ledger.query({ groupBy: [] });
      expect(after.total).to.include({ billed_cost: 0.3, saved_cost: 0, unpriced_requests: 2 });
    });

    it(`${title} reports the first and the last requested day, and those between`, async () => {
      const { ledger } = start();
      const days = ['2026-01-27', '2026-01-28', '2026-01-29', '2026-01-30', '2026-01-31'];
      add(ledger, ...days.map((day) => on(day)));
      const asked = async (from?: string, to?: string) => {
        const range = { ...(from && { from }), ...(to && { to }) };
        const { rows } = await ledger.query({ ...range, groupBy: ['day'] });
        return rows.map((row) => row.day);
      };
      expect(await asked('2026-01-28', '2026-01-30')).to.deep.equal(days.slice(1, 4));
      expect(await asked('2026-01-30')).to.deep.equal(days.slice(3));
      expect(await asked(undefined, '2026-01-28')).to.deep.equal(days.slice(0, 2));
      expect(await asked('2026-02-01')).to.deep.equal([]);
    });

    it(`${title} reports the first day with figures, whichever days are requested`, async () => {
      const { ledger } = start();
      add(ledger, on('2026-01-28'), on('2026-01-30'));
      for (const range of [{}, { from: '2026-01-29' }, { to: '2026-01-01' }]) {
        expect((await ledger.query({ ...range, groupBy: [] })).since).to.equal('2026-01-28');
      }
    });

    it(`${title} keeps apart names that look like its own or like built-in ones`, async () => {
      const { ledger } = start();
      for (const [count, model] of hostileNames.entries()) {
        for (let n = 0; n <= count; n++) add(ledger, usage({ model, consumer_id: model }));
      }
      const { rows } = await ledger.query({ groupBy: ['model', 'consumer_id'] });
      expect(rows.map((row) => [row.model, row.consumer_id, row.requests])).to.deep.equal(
        hostileNames.map((own, count) => [own, own, count + 1]).toReversed(),
      );
    });

    it(`${title} truncates names to 256 characters`, async () => {
      const { ledger } = start();
      const long = 'm'.repeat(256);
      add(ledger, named(long), named(`${long}1`), named(`${long}2`));
      expect(await requests(ledger)).to.deep.equal({ [long]: 3 });
    });

    it(`${title} keeps counting when pico-dollars exceed 64 bits`, async () => {
      const { ledger } = start();
      for (let n = 0; n < 30; n++) {
        add(ledger, usage({ total_tokens: 1e9, total_cost: 999_999.5 }));
        await ledger.flush();
      }
      const { total } = await ledger.query({ groupBy: [] });
      expect(total).to.include({ billed_tokens: 30e9, billed_cost: 29_999_985 });
    });

    it(`${title} counts nothing for a value that is not a count`, async () => {
      const { ledger } = start();
      const odd = [Number.NaN, Infinity, -Infinity, -5, 1e15, 2 ** 53, 1e308];
      add(ledger, ...odd.map((count) => usage({ total_tokens: count, total_cost: count })));
      const before = await ledger.query({ groupBy: [] });
      expect(before.total).to.include({ requests: 7, billed_tokens: 0, billed_cost: null });
      expect(before.total).to.include({ unpriced_requests: 7 });
      add(ledger, usage({ total_cost: 0.25 }));
      const after = await ledger.query({ groupBy: [] });
      expect(after.total).to.include({ billed_tokens: 16, billed_cost: 0.25 });
    });

    describe('The limit of groups', () => {
      it(`${title} sums records beyond the limit of groups in the group "other" of their day`, async () => {
        const { ledger } = start({ maxGroups: 2 });
        add(ledger, named('a'), named('b'), named('c'), named('d'), named('a'));
        add(ledger, on('2026-01-30', { model: 'e' }), on('2026-01-30', { model: 'b' }));
        const { rows, total } = await ledger.query({ groupBy: [...groupFields] });
        const other = {
          model: 'other',
          requested_model: 'other',
          provider: 'other',
          consumer_id: 'other',
          api_endpoint: 'other',
        };
        expect(rows).to.have.length(4);
        expect(rows[0]).to.include({ day: '2026-01-30', ...other, requests: 2 });
        expect(rows[1]).to.include({ day: '2026-01-31', model: 'a', requests: 2 });
        expect(rows[2]).to.include({ day: '2026-01-31', ...other, requests: 2 });
        expect(rows[3]).to.include({ day: '2026-01-31', model: 'b', requests: 1 });
        expect(total).to.include({ requests: 7, billed_tokens: 7 * 16 });
      });

      it(`${title} does not count a group "other" as one`, async () => {
        const { ledger } = start({ maxGroups: 2 });
        const name_ = 'other';
        const own = { model: name_, requested_model: name_, provider: name_ };
        add(ledger, usage({ ...own, consumer_id: name_, api_endpoint: name_ }));
        await ledger.flush();
        add(ledger, named('a'), named('b'), named('c'));
        expect(await requests(ledger)).to.deep.equal({ a: 1, b: 1, other: 2 });
      });

      it(`${title} leaves half of the groups to billed requests`, async () => {
        const { ledger } = start({ maxGroups: 4 });
        add(ledger, failed('a'), failed('b'), failed('c'), failed('d'), failed('a'));
        await ledger.flush();
        expect(await requests(ledger)).to.deep.equal({ a: 2, b: 1, other: 2 });
        add(ledger, named('e'));
        await ledger.flush();
        add(ledger, usage({ model: 'f', billed: false, cache_type: 'exact' }));
        await ledger.flush();
        add(ledger, named('g'), failed('e'), failed('h'));
        expect(await requests(ledger)).to.deep.equal({ a: 2, b: 1, e: 2, f: 1, other: 4 });
      });

      it(`${title} keeps a consumer's spending apart and leaves room for others, whatever model names it sends`, async () => {
        const { ledger } = start({ maxGroups: 100 });
        for (let n = 0; n < 200; n++) {
          const model = `made up ${n}`;
          ledger.record(usage({ model, requested_model: model, consumer_id: 'eve' }));
          if (n % 50 === 0) await ledger.flush();
        }
        ledger.record(usage({ model: 'm', consumer_id: 'ada' }));
        const { rows } = await ledger.query({ groupBy: ['consumer_id'] });
        expect(rows.map((row) => [row.consumer_id, row.requests])).to.deep.equal([
          ['eve', 200],
          ['ada', 1],
        ]);
        expect((await requests(ledger))['other']).to.equal(180);
      });

      it(`${title} takes new bounds, and keeps what it has`, async () => {
        const { ledger } = start({ maxGroups: 1 });
        add(ledger, named('a'), named('b'));
        await ledger.flush();
        ledger.configure({ retentionDays: 90, maxGroups: 2 });
        add(ledger, named('b'));
        await ledger.flush();
        ledger.configure({ retentionDays: 90, maxGroups: 1 });
        add(ledger, named('b'), named('c'));
        expect(await requests(ledger)).to.deep.equal({ a: 1, b: 2, other: 2 });
      });
    });

    describe('Passing days', () => {
      const dayMs = 86_400_000;
      const days = async (ledger: Ledger) =>
        (await ledger.query({ groupBy: ['day'] })).rows.map((row) => row.day);

      it(`${title} keeps as many days as configured, including today`, async () => {
        const { ledger, clock } = start({ retentionDays: 3 });
        add(ledger, on('2026-01-29'), on('2026-01-30'), on('2026-01-31'));
        expect(await days(ledger)).to.deep.equal(['2026-01-29', '2026-01-30', '2026-01-31']);
        clock.now = Date.parse('2026-01-31T23:59:59.999Z');
        expect(await days(ledger)).to.have.length(3);
        clock.now++;
        expect(await days(ledger)).to.deep.equal(['2026-01-30', '2026-01-31']);
        clock.now += 10 * dayMs;
        expect(await days(ledger)).to.deep.equal([]);
      });

      it(`${title} does not bring back an old day for a late record`, async () => {
        const { ledger, clock } = start({ retentionDays: 2 });
        add(ledger, on('2026-01-29'), on('2026-01-30'));
        expect(await days(ledger)).to.deep.equal(['2026-01-30']);
        clock.now += dayMs;
        add(ledger, on('2026-01-30'));
        await ledger.flush();
        clock.now -= dayMs;
        expect((await ledger.query({ groupBy: [] })).total.requests).to.be.at.most(1);
      });

      it(`${title} has room for new groups after a day has been dropped`, async () => {
        const { ledger, clock } = start({ retentionDays: 1, maxGroups: 2 });
        add(ledger, named('a'), named('b'), named('c'));
        await ledger.flush();
        clock.now += dayMs;
        const tomorrow = { timestamp: '2026-02-01T00:00:00.000Z' };
        add(ledger, usage({ model: 'd', ...tomorrow }), usage({ model: 'e', ...tomorrow }));
        expect(await requests(ledger)).to.deep.equal({ d: 1, e: 1 });
      });

      it(`${title} keeps fewer days if configured to`, async () => {
        const { ledger } = start({ retentionDays: 3 });
        add(ledger, on('2026-01-29'), on('2026-01-31'));
        await ledger.flush();
        ledger.configure({ retentionDays: 1, maxGroups: 1000 });
        expect(await days(ledger)).to.deep.equal(['2026-01-31']);
      });
    });

    it(`${title} loses no record that arrives while it is read or flushed`, async () => {
      const { ledger } = start();
      const flushes: Promise<unknown>[] = [];
      for (let n = 0; n < 300; n++) {
        add(ledger, named(`model ${n % 7}`));
        if (n % 10 === 0) flushes.push(ledger.flush(), ledger.query({ groupBy: [] }));
        if (n % 50 === 0) await ledger.flush();
      }
      await Promise.all(flushes);
      expect((await ledger.query({ groupBy: [] })).total.requests).to.equal(300);
      expect(ledger.stats()).to.deep.equal({ dropped: 0, failures: 0 });
    });
  });
}
