import { expect } from 'chai';
import type { Page } from 'playwright-core';
import type { Requests } from '../../policies/admin/page/answers.ts';
import { Dashboard, rowsIn, titled } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';

describe(titled('Recent requests in the dashboard'), function () {
  this.timeout(60_000);
  const dashboard = Dashboard.use();
  before(async () => {
    await dashboard.asAda('warm-model', 'near');
    await dashboard.asAda('warm-model', 'near');
    await dashboard.ask('keyed', 'warm-model', 'near', authorization(), { temperature: 0.5 });
    const kept = async () =>
      (await dashboard.api<Requests>('requests?model=warm-model')).requests.length;
    await eventually(async () => (await kept()) === 3, 'three requests of the model');
  });
  const authorization = () => ({ authorization: `apiKey ${dashboard.ada.apiKey}` });
  const view = (page: Page) => page.locator('#requests-view');
  const filterBy = (page: Page, field: string) => page.locator(`#request-filter [name=${field}]`);
  const outcomes = async (page: Page) =>
    (await rowsIn(page, '#requests-view')).map((row) => /^\w+/.exec(row[1] ?? '')?.[0]);

  it('The dashboard lists recent requests, newest first, with outcome, cost, consumer and tokens', async () => {
    const { page, complaints } = await dashboard.open();
    const [newest, hit] = await rowsIn(page, '#requests-view');
    expect(newest?.slice(1, 7)).to.deep.equal([
      'miss',
      '–\nnot known',
      'warm-model',
      'ada',
      'keyed',
      '16',
    ]);
    expect(hit?.[1]).to.equal('hit');
    const text = await view(page).innerText();
    expect(text).to.contain('no-cache').and.to.contain('not stored: status');
    expect(text).to.match(/saved \$0\.000108/);
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard shows a miss its nearest stored request, and what differs, in one click', async () => {
    const { page, complaints } = await dashboard.open();
    await view(page)
      .getByRole('button', { name: /^Why\? miss/ })
      .first()
      .click();
    const detail = view(page).locator('.detail');
    await detail.getByText('nothing was stored under its key').waitFor();
    const nearest = detail.locator('.nearest li').first();
    expect(await nearest.innerText()).to.match(
      /^Differs in\s+temperature\s+warm-model, stored .* ada/,
    );
    const key = nearest.getByRole('button', { name: /^Key …/ });
    await key.click();
    expect(await nearest.innerText()).to.contain('keyed:u');
    await view(page)
      .getByRole('button', { name: /^Why\? miss/ })
      .first()
      .click();
    expect(await detail.count()).to.equal(0);
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard shows the entry that answered a hit in one click', async () => {
    const { page } = await dashboard.open();
    await filterBy(page, 'model').fill('warm-model');
    await filterBy(page, 'model').press('Enter');
    await eventually(async () => (await outcomes(page)).join() === 'miss,hit,miss', 'three rows');
    await view(page)
      .getByRole('button', { name: /^Entry hit/ })
      .click();
    const detail = view(page).locator('.detail');
    await detail.getByText('The cache answered it from this entry').waitFor();
    const text = await detail.innerText();
    for (const word of ['warm-model', 'Hits\n1', 'Tokens\n16', 'messages']) {
      expect(text).to.contain(word);
    }
  });

  it('The dashboard says in words why the cache stood aside', async () => {
    const { page } = await dashboard.open();
    await filterBy(page, 'reason').fill('no-cache');
    await filterBy(page, 'reason').press('Enter');
    await eventually(async () => (await outcomes(page)).join() === 'request', 'one row');
    await view(page)
      .getByRole('button', { name: /^Why\?/ })
      .click();
    await view(page).getByText('the client sent').waitFor();
  });

  it('The dashboard filters requests by outcome and consumer, and says when no consumer matches', async () => {
    const { page } = await dashboard.open();
    await filterBy(page, 'outcome').selectOption('hit');
    await eventually(
      async () => new Set(await outcomes(page)).size === 1 && (await outcomes(page))[0] === 'hit',
      'hits only',
    );
    await filterBy(page, 'consumer').fill('ada');
    await filterBy(page, 'consumer').press('Enter');
    await eventually(async () => (await outcomes(page)).length === 1, 'the one hit of ada');
    await filterBy(page, 'consumer').fill('nemo');
    await filterBy(page, 'consumer').press('Enter');
    await view(page).getByText('no consumer has the name or id "nemo"').waitFor();
  });

  it('The dashboard adds new requests while live, and keeps an opened row open', async () => {
    const { page, complaints } = await dashboard.open();
    await view(page)
      .getByRole('button', { name: /^Why\? miss/ })
      .first()
      .click();
    await view(page).locator('.detail .nearest').waitFor();
    await dashboard.ask('openai', 'just-now', 'live');
    await view(page).locator('tr', { hasText: 'just-now' }).waitFor();
    expect(await view(page).locator('.detail .nearest').count()).to.equal(1);
    await page.getByLabel('Live').uncheck();
    await dashboard.ask('openai', 'after-that', 'live');
    await page.waitForResponse((response) => response.url().endsWith('/stats'));
    await page.waitForResponse((response) => response.url().endsWith('/stats'));
    expect(await view(page).locator('tr', { hasText: 'after-that' }).count()).to.equal(0);
    await page.getByLabel('Live').check();
    await view(page).locator('tr', { hasText: 'after-that' }).waitFor();
    expect(complaints).to.deep.equal([]);
  });
});
