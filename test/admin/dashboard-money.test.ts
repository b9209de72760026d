import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { moneyFormat } from '../../policies/admin/page/money.ts';
import { daysIn, monthBefore } from '../../policies/admin/page/days.ts';
import { Dashboard, figure, rowsIn, titled } from '../support/dashboard.ts';
import { showSample } from '../support/dashboard-sample.ts';
import { eventually } from '../support/eventually.ts';

describe(titled('Money in the dashboard'), function () {
  this.timeout(60_000);
  const dashboard = Dashboard.use({
    usage: {
      prices: { 'priced-model': { input: 3, output: 15 }, cheap: { input: 1, output: 1 } },
      budgets: [
        { consumer: 'ada', per: 'month', usd: 0.00001 },
        { consumer: 'nemo', per: 'day', usd: 1 },
      ],
    },
  });
  const spread = [
    ['priced-model', 'a'],
    ['priced-model', 'a'],
    ['cheap', 'b'],
    ['cheap', 'b'],
    ['cheap', 'c'],
  ] as const;
  before(async () => {
    for (const [model, content] of spread) await dashboard.asAda(model, content);
    await eventually(async () => (await dashboard.total()).requests === 12, 'twelve in the books');
  });
  const modelsIn = async (page: Page) =>
    (await rowsIn(page, '#models-view')).map(([model]) => model?.split('\n')[0]);
  const dollars = (text: string) => Number(/\$([\d.]+)/.exec(text)?.[1]);
  const fail = (page: Page) =>
    page.route('**/usage?*', (route) =>
      route.fulfill({ status: 503, json: { error: { message: 'down' } } }),
    );

  it('The dashboard shows first what was saved of how much, in which days, and the trend', async () => {
    const { page, complaints } = await dashboard.open();
    const { saved_cost: saved, billed_cost: billed } = await dashboard.total();
    const text = await figure(page, 'headline').innerText();
    const [, first = '', second = '', part] =
      /^Saved (\$[\d.]+) of (\$[\d.]+) \(([\d.]+)%\)$/.exec(text) ?? [];
    const whole = (saved ?? 0) + (billed ?? 0);
    expect(dollars(first)).to.be.closeTo(saved ?? NaN, whole / 100);
    expect(dollars(second)).to.be.closeTo(whole, whole / 100);
    expect(Number(part)).to.be.closeTo((100 * (saved ?? 0)) / whole, 0.05);
    const box = await figure(page, 'headline').boundingBox();
    for (const other of ['#live', '.tiles', '#models-view']) {
      const below = await page.locator(other).first().boundingBox();
      expect(below!.y).to.be.above(box!.y);
    }
    const section = await page.locator('#headline-view').innerText();
    expect(section).to.contain('In the last 7 days').and.to.contain('(UTC), with figures since');
    expect(await figure(page, 'trend').innerText()).to.contain('nothing to compare with');
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard compares the saving with the days before, where it has their figures', async () => {
    const { page } = await dashboard.open({ prepare: showSample });
    expect(await figure(page, 'trend').innerText()).to.match(
      /^▲ \$[\d.]+ \([\d.]+%\) more than in .*: \$[\d.]+ of \$[\d.]+ \([\d.]+%\)$/,
    );
  });

  it('The dashboard sorts its tables by saved cost and by any column, with the total last', async () => {
    const { page, complaints } = await dashboard.open();
    expect((await modelsIn(page)).slice(0, 2)).to.deep.equal(['priced-model', 'cheap']);
    const sorted = page.locator('#models-view th[aria-sort=descending]');
    expect(await sorted.innerText()).to.contain('Saved');
    const [foot] = await rowsIn(page, '#models-view', 'tfoot');
    expect(foot?.[0]).to.match(/^Total/);
    expect(foot?.[5]).to.equal('12');

    await page.locator('#models-view').getByRole('button', { name: 'Requests' }).click();
    expect(await sorted.innerText()).to.contain('Requests');
    const requests = (await rowsIn(page, '#models-view')).map((row) => Number(row[5]));
    expect(requests).to.deep.equal(requests.toSorted((one, other) => other - one));
    await page.locator('#models-view').getByRole('button', { name: 'Model' }).click();
    const names = await modelsIn(page);
    expect(names).to.deep.equal(names.toSorted((one = '', other = '') => (one < other ? -1 : 1)));
    expect(await page.locator('#models-view th[aria-sort=ascending]').innerText()).to.contain(
      'Model',
    );
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard shows one precision per column, and names in place of ids', async () => {
    const { page } = await dashboard.open();
    for (const column of [1, 2]) {
      const cells = (await rowsIn(page, '#models-view')).map((row) => row[column] ?? '');
      const digits = cells
        .filter((cell) => cell.includes('.'))
        .map((cell) => cell.split('.')[1]?.length);
      expect(digits).to.not.deep.equal([]);
      expect(new Set(digits).size).to.equal(1);
    }
    const ada = page.locator('#consumers-view bdi', { hasText: /^ada$/ });
    expect(await ada.getAttribute('title')).to.equal(dashboard.ada.id);
    expect(await page.locator('#consumers-view').innerText()).to.not.contain(dashboard.ada.id);
  });

  it('The dashboard draws saved and billed cost as bars in proportion', async () => {
    const { page } = await dashboard.open();
    const { rows } = await dashboard.usageBy('model');
    const row = rows.find(({ model }) => model === 'cheap')!;
    const bar = page.locator('#models-view tr', { hasText: 'cheap' }).locator('.bar');
    const width = async (kind: string) =>
      Number((await bar.locator(`.${kind}`).getAttribute('width'))?.replace('%', ''));
    expect((await width('saved')) / (await width('billed'))).to.be.closeTo(
      row.saved_cost! / row.billed_cost!,
      0.001,
    );
  });

  it('The dashboard keeps old figures, dimmed and dated, when other days fail to load', async () => {
    const { page } = await dashboard.open();
    await fail(page);
    await page.getByRole('button', { name: '30 days' }).click();
    for (const part of ['#headline-view', '#overview-view', '#models-view', '#consumers-view']) {
      const view = page.locator(part);
      await view.getByText('Not loaded: down (503)').waitFor();
      const text = await view.innerText();
      expect(text).to.match(/These figures are of the last 7 days, as of \d\d:\d\d\./);
      expect(text).to.not.contain('30 days');
      expect(await view.locator('.old').count()).to.equal(1);
    }
    expect(await page.locator('#headline-view').innerText()).to.contain('In the last 7 days');
    await page.unroute('**/usage?*');
    await page.locator('#headline-view').getByRole('button', { name: 'Try again' }).click();
    await page.locator('#headline-view').getByText('In the last 30 days').waitFor();
    expect(await page.locator('#headline-view .old').count()).to.equal(0);
  });

  it('The dashboard keeps old figures, dated, while other days are loading', async () => {
    const { page } = await dashboard.open();
    let go = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    await page.route('**/usage?*', async (route) => {
      await held;
      await route.continue();
    });
    await page.getByRole('button', { name: 'This month' }).click();
    const view = page.locator('#headline-view');
    await view.getByText('These figures are of the last 7 days').waitFor();
    expect(await view.locator('[aria-busy=true]').count()).to.equal(1);
    go();
    const month = new Intl.DateTimeFormat('en-US', {
      month: 'long',
      year: 'numeric',
      timeZone: 'UTC',
    }).format(new Date());
    await view.getByText(`In ${month}`).waitFor();
  });

  it('The dashboard dates its figures while the gateway cannot be reached', async () => {
    const { page } = await dashboard.open();
    await page.route('**/llm-cache/**', (route) => route.abort());
    await page.getByText(/Not reachable, trying again; figures as of \d\d:\d\d/).waitFor();
    for (const part of ['#headline-view', '#models-view', '#outcomes-view', '#entries-view']) {
      const age = page.locator(part).locator('.as-of').first();
      await age.waitFor();
      expect(await age.innerText()).to.match(/as of \d\d:\d\d\.$/);
    }
    expect(await page.locator('#live').getAttribute('class')).to.contain('old');
  });

  it('The dashboard shows calendar months or any days, and offers the same days as a file', async () => {
    const { page, complaints } = await dashboard.open();
    const asked = (days: { from: string; to: string }) =>
      page.waitForRequest((request) =>
        request.url().includes(`from=${days.from}&to=${days.to}&group_by=day`),
      );
    const link = page.getByRole('link', { name: /Download/ });
    const last = asked(monthBefore(1));
    await page.getByRole('button', { name: 'Last month' }).click();
    await last;
    expect(await link.getAttribute('href')).to.contain(`from=${monthBefore(1).from}`);

    await page.getByRole('button', { name: 'Other …' }).click();
    const before = asked(monthBefore(3));
    await page.locator('#range select').selectOption({ index: 4 });
    await before;
    const chosen = { from: '2026-01-05', to: '2026-01-09' };
    await page.locator('#range [name=from]').fill(chosen.from);
    await page.locator('#range [name=to]').fill(chosen.to);
    const free = asked(chosen);
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await free;
    await page.locator('#headline-view').getByText('No request in Jan 5 – 9, 2026').waitFor();

    await page.getByRole('button', { name: '7 days' }).click();
    const coming = page.waitForEvent('download');
    await link.click();
    const download = await coming;
    expect(download.suggestedFilename()).to.match(/^llm-usage-.*\.csv$/);
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard shows budgets, and marks the consumers that have spent theirs', async () => {
    const { page } = await dashboard.open();
    const budgets = page.locator('#budgets-view');
    await budgets.getByText('consumer ada per month').waitFor();
    const text = await budgets.innerText();
    expect(text).to.contain('Spent').and.to.contain('of $0.000010 billed');
    expect(text).to.contain('No consumer has this name.');
    expect(await budgets.getByRole('meter').first().getAttribute('aria-valuetext')).to.contain(
      ' of ',
    );
    const row = page.locator('#consumers-view tr', { hasText: 'ada' });
    expect(await row.innerText()).to.contain('Spent: budget per month');
  });
});

describe(titled('The dashboard of an unused gateway'), function () {
  this.timeout(60_000);
  const dashboard = Dashboard.use({ isFilled: false });

  it('The dashboard of an unused gateway shows a curl that works, and then what it saved', async () => {
    const { page, complaints } = await dashboard.openSoon();
    const curl = await page.locator('#headline-view pre').innerText();
    const { pathname } = new URL(/curl (\S+)/.exec(curl)![1]!.replace('PORT', '1'));
    const body = JSON.parse(/-d '(.*)'$/.exec(curl)![1]!) as { model: string };
    expect(pathname).to.equal('/openai/v1/chat/completions');
    for (const _ of [1, 2]) await dashboard.ask('openai', body.model, 'Hello!');
    await eventually(async () => (await dashboard.total()).requests === 2, 'two in the books');
    await page.reload();
    await figure(page, 'headline').waitFor();
    expect(complaints).to.deep.equal([]);
  });
});

describe('An amount of money in the dashboard', () => {
  it('Dashboard amounts have cents or, where sums are small, the digits that the largest needs', () => {
    const format = (...all: number[]) => all.map(moneyFormat(all));
    expect(format(1234.5, 0.004, 0)).to.deep.equal(['$1,234.50', '<$0.01', '$0.00']);
    expect(format(0.0216, 0.5)).to.deep.equal(['$0.022', '$0.500']);
    expect(format(0.000216, 0.0000725)).to.deep.equal(['$0.000216', '$0.000073']);
  });
});

describe('The days of the dashboard', () => {
  const now = Date.parse('2026-03-31T12:00:00Z');

  it('A month in the dashboard is a calendar month of any length', () => {
    expect(monthBefore(0, now)).to.deep.equal({ from: '2026-03-01', to: '2026-03-31' });
    expect(monthBefore(1, now)).to.deep.equal({ from: '2026-02-01', to: '2026-02-28' });
    expect(monthBefore(3, now)).to.deep.equal({ from: '2025-12-01', to: '2025-12-31' });
  });

  it('The days of a running month end with today in the dashboard', () => {
    const days = daysIn({ from: '2026-03-01', to: '2026-03-31' }, Date.parse('2026-03-10T01:00Z'));
    expect(days).to.have.lengthOf(10);
  });
});
