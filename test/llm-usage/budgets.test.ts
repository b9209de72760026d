import { expect } from 'chai';
import { pluginSchema, type BudgetSettings, type PluginSettings } from '../../schemas/plugin.ts';
import { ConfigurationError, validate } from '../../schemas/validate.ts';
import { budgetWarnings } from '../../policies/hosts/budget-warnings.ts';
import { checkUsage } from '../../policies/hosts/usage-checks.ts';
import { BudgetWatch } from '../../policies/llm-usage/budget-watch.ts';
import { budgetName, budgetStates, periodOf } from '../../policies/llm-usage/budgets.ts';
import { MemoryLedger } from '../../policies/llm-usage/ledgers/memory.ts';
import { FaultLog } from '../../policies/shared/faults.ts';
import { useFakeClock } from '../support/fake-clock.ts';
import { keptLog, record } from '../support/sinks-records.ts';

const november = Date.parse('2026-11-29T12:00:00Z');

describe('A budget', () => {
  const clock = useFakeClock({ now: november });
  let ledger: MemoryLedger;
  beforeEach(() => {
    ledger = new MemoryLedger({ retentionDays: 90, maxGroups: 100, running: () => Date.now() });
  });
  const ids: Readonly<Record<string, string>> = { ada: 'id of ada' };
  const idOf = async (name: string) => ids[name] ?? null;
  const spend = (usd: number | null, more: object = {}) => {
    const spent = { ...record(1), consumer_id: 'id of ada', total_cost: usd, ...more };
    ledger.record(spent);
    return spent;
  };
  const stateOf = async (budget: BudgetSettings) =>
    (await budgetStates([budget], { ledger, idOf }, Date.now()))[0];
  const settingsWith = (usage: object) =>
    validate<PluginSettings>(pluginSchema, { usage }, 'settings');

  it('A budget covers the calendar day or month in UTC', () => {
    expect(periodOf('day', november)).to.deep.equal({ from: '2026-11-29', to: '2026-11-29' });
    expect(periodOf('month', november)).to.deep.equal({ from: '2026-11-01', to: '2026-11-30' });
    const december = Date.parse('2026-12-31T23:59:59Z');
    expect(periodOf('month', december)).to.deep.equal({ from: '2026-12-01', to: '2026-12-31' });
  });

  it('A budget counts what was billed to a consumer by name, for a model and an apiEndpoint', async () => {
    spend(1);
    spend(2, { model: 'other', requested_model: 'other' });
    spend(4, { consumer_id: 'another' });
    spend(8, { api_endpoint: 'elsewhere' });
    const spent = async (budget: Partial<BudgetSettings>) =>
      (await stateOf({ per: 'day', usd: 100, ...budget }))?.spent;
    expect(await spent({})).to.equal(15);
    expect(await spent({ consumer: 'ada' })).to.equal(11);
    expect(await spent({ consumer: 'ada', apiEndpoint: 'openai' })).to.equal(3);
    expect(await spent({ model: 'gpt-4o' })).to.equal(13);
    expect(await spent({ model: 'gpt-4o-2024-08-06', apiEndpoint: 'openai' })).to.equal(5);
    expect(await spent({ consumer: 'nemo' })).to.equal(0);
    expect(await stateOf({ per: 'day', usd: 1, consumer: 'nemo' })).to.deep.include({
      consumer: 'nemo',
      consumerId: null,
    });
  });

  it('A budget counts no saved cost, and says how many requests have no price', async () => {
    spend(3, { cache_type: 'exact', billed: false });
    spend(null);
    expect(await stateOf({ per: 'month', usd: 1 })).to.deep.include({
      spent: 0,
      unpricedRequests: 1,
      state: 'ok',
    });
  });

  it('A budget is near from 80 % on, and over once it is spent', async () => {
    const state = async (usd: number) => (await stateOf({ per: 'day', usd }))?.state;
    spend(8);
    expect([await state(10.01), await state(10), await state(8.01), await state(8)]).to.deep.equal([
      'ok',
      'near',
      'near',
      'over',
    ]);
  });

  it('A budget per day starts over with the day, while that of the month goes on', async () => {
    spend(5);
    await clock().tickAsync(24 * 3600 * 1000);
    spend(1);
    expect((await stateOf({ per: 'day', usd: 5 }))?.spent).to.equal(1);
    expect((await stateOf({ per: 'month', usd: 5 }))?.spent).to.equal(6);
  });

  it('A budget is logged once when it is nearly spent and once when it is spent, per period', async () => {
    const log = keptLog();
    const watch = new BudgetWatch({ log, faults: new FaultLog(log) });
    watch.configure([{ per: 'day', usd: 10, consumer: 'ada' }], { ledger, idOf });
    for (const usd of [1, 8, 0.5, 1, 5]) {
      watch.spent(spend(usd));
      await clock().tickAsync(60_000);
    }
    const name = 'budget "consumer ada per day"';
    expect(log.lines).to.deep.equal([
      `warn llm-usage: ${name}: nearly spent: 9.00 of 10.00 USD, 2026-11-29`,
      `warn llm-usage: ${name}: spent: 10.50 of 10.00 USD, 2026-11-29`,
    ]);
    await clock().tickAsync(24 * 3600 * 1000);
    watch.spent(spend(20));
    await clock().tickAsync(60_000);
    expect(log.lines).to.have.lengthOf(3);
    watch.close();
  });

  it('A budget of an unknown consumer is logged', async () => {
    const log = keptLog();
    const watch = new BudgetWatch({ log, faults: new FaultLog(log) });
    watch.configure([{ per: 'day', usd: 10, consumer: 'nemo' }], { ledger, idOf });
    await clock().tickAsync(60_000);
    expect(log.lines).to.deep.equal([
      'warn llm-usage: budget "consumer nemo per day": no consumer is called "nemo"',
    ]);
    watch.close();
  });

  it('A budget is read from the ledger again after the ledger failed', async () => {
    const log = keptLog();
    const watch = new BudgetWatch({ log, faults: new FaultLog(log) });
    let fails = true;
    const query: MemoryLedger['query'] = (asked) =>
      fails ? Promise.reject(new Error('down')) : ledger.query(asked);
    watch.configure([{ per: 'day', usd: 1 }], { ledger: { query }, idOf });
    await clock().tickAsync(60_000);
    expect(log.lines.join()).to.contain('the budgets could not be read');
    fails = false;
    expect(await watch.states()).to.have.lengthOf(1);
    watch.close();
    expect(await watch.states()).to.deep.equal([]);
  });

  it('A budget is read from the ledger again when the clock was set back meanwhile', async () => {
    const log = keptLog();
    const watch = new BudgetWatch({ log, faults: new FaultLog(log) });
    watch.configure([{ per: 'month', usd: 10 }], { ledger, idOf });
    expect((await watch.states())[0]?.spent).to.equal(0);
    clock().setSystemTime(Date.parse('2026-11-01T00:00:00Z'));
    await clock().tickAsync(60_000);
    spend(5);
    expect((await watch.states())[0]?.spent).to.equal(5);
    watch.close();
  });

  it('A budget is named by what it covers, unless it has a name', () => {
    const names = [
      { name: 'mine' },
      {},
      { model: 'm' },
      { consumer: 'ada', model: 'm', apiEndpoint: 'openai' },
    ].map((budget) => budgetName({ per: 'month', usd: 1, ...budget }));
    expect(names).to.deep.equal([
      'mine',
      'everything per month',
      'model m per month',
      'consumer ada, model m, apiEndpoint openai per month',
    ]);
  });

  it('A budget stops the start where its name is taken or the ledger forgets its month', () => {
    const budget = { per: 'month', usd: 1 };
    const refused = (usage: object) => () => checkUsage(settingsWith(usage), 'settings');
    expect(refused({ budgets: [budget, budget] })).to.throw(
      ConfigurationError,
      '"usage.budgets.1" has the name of another one, "everything per month"',
    );
    expect(refused({ budgets: [budget], ledger: { retentionDays: 30 } })).to.throw(
      ConfigurationError,
      '"usage.ledger.retentionDays" must be at least 31 for a budget per month, got 30',
    );
    expect(() => settingsWith({ budgets: [{ per: 'week', usd: 1 }] })).to.throw('day, month');
    expect(() => settingsWith({ budgets: [{ per: 'day', usd: 0 }] })).to.throw('usd');
    expect(refused({ budgets: [budget] })).to.not.throw();
  });

  it('A budget brings a warning at start where it never fills or starts over with the process', () => {
    const { usage } = settingsWith({ budgets: [{ per: 'day', usd: 1, apiEndpoint: 'opnai' }] });
    const pipeline = { name: 'p', apiEndpoints: ['openai'], steps: [], forwardsHost: false };
    const [first, second] = budgetWarnings({ stores: {}, usage }, 'settings', [pipeline]);
    expect(first).to.contain('since its start');
    expect(second).to.contain('"opnai"').and.to.contain('did you mean "openai"?');
  });
});
