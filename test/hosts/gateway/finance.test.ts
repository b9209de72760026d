import { expect } from 'chai';
import { admin, expectError } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

interface Sums {
  readonly from: string;
  readonly to: string;
  readonly rows: readonly { readonly requests: number }[];
  readonly total: { readonly requests: number; readonly billed_cost: number | null };
}

describe('Money in the admin API', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { openai: [{ 'key-auth': {} }, ...both()] }),
      settings: {
        usage: {
          prices: { 'gpt-4o': { input: 3, output: 15 } },
          budgets: [
            { consumer: 'ada', per: 'month', usd: 0.0001 },
            { model: 'gpt-4o', apiEndpoint: 'openai', per: 'day', usd: 1000, name: 'all of 4o' },
            { apiEndpoint: 'nowhere', per: 'day', usd: 1 },
          ],
        },
      },
    });
    const { apiKey } = await gateway.createConsumer('ada');
    upstream.answer(json(answers.chat.json));
    const headers = { authorization: `apiKey ${apiKey}` };
    for (const content of ['one', 'one', 'two']) {
      const body = { model: 'gpt-4o', messages: [{ role: 'user', content }] };
      await post(`${gateway.url}/openai/v1/chat/completions`, body, { headers });
    }
    await eventually(async () => (await usage('')).total.requests === 3, 'three in the books');
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.close();
  });

  const usage = async (query: string) =>
    (await admin(gateway, `/usage?${query}`)).json as unknown as Sums & { previous?: Sums };
  const today = () => new Date().toISOString().slice(0, 10);
  const cost = (11 * 3 + 5 * 15) / 1e6;

  it('The usage route sums a calendar month, with the month before beside it', async () => {
    const month = today().slice(0, 7);
    const report = await usage(`month=${month}&compare=previous&group_by=model`);
    expect(report.from).to.equal(`${month}-01`);
    expect(report.total).to.include({ requests: 3, billed_cost: 2 * cost });
    expect(report.previous?.total.requests).to.equal(0);
    expect(String(report.previous?.to) < report.from).to.equal(true);
    expect((await usage('month=2020-01')).total.requests).to.equal(0);
    const one = await usage(`from=${today()}&to=${today()}&compare=previous`);
    expect(one.previous?.from).to.equal(one.previous?.to);
  });

  it('The usage route sends a CSV file whose name says which days it covers', async () => {
    const month = today().slice(0, 7);
    const { text, headers } = await admin(
      gateway,
      `/usage?month=${month}&group_by=day,model&format=csv&compare=previous`,
    );
    expect(headers.get('content-disposition')).to.equal(
      `attachment; filename="llm-usage-${month}.csv"`,
    );
    expect(headers.get('x-content-type-options')).to.equal('nosniff');
    const [head = '', row = '', end] = text.split('\r\n');
    expect(end).to.equal('');
    const cells = row.split(',');
    const byName = Object.fromEntries(head.split(',').map((name, at) => [name, cells[at]]));
    expect(byName).to.include({
      from: `${month}-01`,
      day: today(),
      model: 'gpt-4o-2024-08-06',
      requests: '3',
      hits: '1',
      exact_hits: '1',
      billed_tokens: '32',
      billed_cost: String(2 * cost),
      saved_cost: String(cost),
    });
    const named = async (query: string) =>
      (await admin(gateway, `/usage?${query}format=csv`)).headers.get('content-disposition');
    expect(await named('')).to.contain('"llm-usage.csv"');
    expect(await named('from=2026-11-01&to=2026-11-07&')).to.contain(
      '"llm-usage-2026-11-01-to-2026-11-07.csv"',
    );
  });

  it('The usage route refuses a wrong month, comparison or format', async () => {
    expectError(await admin(gateway, '/usage?month=2026-13'), 400, 'month', 'YYYY-MM');
    expectError(await admin(gateway, '/usage?month=2026-11&to=2026-11-02'), 400, 'combined');
    expectError(await admin(gateway, '/usage?compare=previous'), 400, 'compare', 'from');
    expectError(await admin(gateway, '/usage?compare=next'), 400, 'compare');
    expectError(await admin(gateway, '/usage?format=xlsx'), 400, 'format', 'json, csv');
  });

  it('The admin API and the metrics say how far each budget is spent', async () => {
    await eventually(
      async () => {
        const { budgets } = (await admin(gateway, '/budgets')).json;
        return (budgets as { spent: number }[])[0]!.spent > cost;
      },
      'what was spent',
      15_000,
    );
    const { budgets } = (await admin(gateway, '/budgets')).json as { budgets: object[] };
    expect(budgets[0]).to.include({
      name: 'consumer ada per month',
      consumer: 'ada',
      consumerName: 'ada',
      per: 'month',
      usd: 0.0001,
      state: 'over',
      from: `${today().slice(0, 7)}-01`,
    });
    expect(budgets[1]).to.include({ name: 'all of 4o', state: 'ok', from: today(), to: today() });
    const { text } = await admin(gateway, '/metrics');
    expect(text).to.contain('llm_usage_budget_usd{budget="all of 4o",per="day"} 1000\n');
    expect(text).to.match(
      /llm_usage_budget_spent_usd\{budget="consumer ada per month",[^}]*\} 0\.0002/,
    );
  });

  it('The gateway warns at start of a budget that never fills, and of sums that end with the process', () => {
    expect(gateway.log).to.contain('"apiEndpoint nowhere per day" never fills');
    expect(gateway.log).to.contain('"usage.budgets" count what this process has billed');
  });
});
