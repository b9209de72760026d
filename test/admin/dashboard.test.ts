import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { expect } from 'chai';
import type { Stats } from '../../policies/admin/page/answers.ts';
import { lastDays } from '../../policies/admin/page/days.ts';
import { Rates } from '../../policies/admin/page/rates.ts';
import { Dashboard, figure, hostile, rowsIn, titled } from '../support/dashboard.ts';
import { showSample } from '../support/dashboard-sample.ts';
import { eventually } from '../support/eventually.ts';

describe(titled('The dashboard'), function () {
  this.timeout(60_000);
  const dashboard = Dashboard.use();

  it('The dashboard shows the numbers that the admin API gives', async () => {
    const { page, complaints } = await dashboard.open();
    const sums = await dashboard.total();
    expect([sums.requests, sums.hits, sums.unpriced_requests > 0]).to.deep.equal([7, 2, true]);
    expect(await figure(page, 'requests').innerText()).to.equal('7');
    expect(await figure(page, 'hit-rate').innerText()).to.equal('28.6%');
    expect(await figure(page, 'saved-tokens').innerText()).to.equal(String(sums.saved_tokens));
    expect(await figure(page, 'unpriced').innerText()).to.equal(String(sums.unpriced_requests));
    const billed = Number((await figure(page, 'billed-cost').innerText()).slice(1));
    expect(billed).to.be.closeTo(sums.billed_cost ?? NaN, (sums.billed_cost ?? NaN) / 100);

    const models = await dashboard.usageBy('model');
    const modelRows = await rowsIn(page, '#models-view');
    expect(modelRows.map((row) => [row[0], row[5]])).to.have.deep.members(
      models.rows.map(({ model, requests }) => [model, String(requests)]),
    );
    const consumers = await dashboard.usageBy('consumer_id');
    expect((await rowsIn(page, '#consumers-view')).map((row) => row[0])).to.have.members(
      consumers.rows.map((row) => row.consumer_id ?? 'no consumer'),
    );

    const { pipelines, stores, version } = await dashboard.api<Stats>('stats');
    const { outcomes } = pipelines['openai']!;
    const [openai] = await rowsIn(page, '#outcomes-view');
    const { hit, coalesced, stale, miss, request, bypass } = outcomes;
    expect(openai).to.deep.equal(
      ['openai', '6', '33.3%', hit, coalesced, stale, miss, request, bypass].map(String),
    );
    const outcomesText = await page.locator('#outcomes-view').innerText();
    for (const text of ['no-cache', 'the client sent Cache-Control', 'the status is not 200']) {
      expect(outcomesText).to.contain(text);
    }
    const storesText = await page.locator('#stores-view').innerText();
    expect(storesText).to.match(new RegExp(`Entries\\s+${stores['memory']?.entries}\\b`));
    expect(storesText).to.contain('of 256 MiB').and.to.contain('Healthy');
    expect(await page.locator('#about').innerText()).to.contain(`version ${version} · up `);
    expect(await page.locator('.plot canvas').count()).to.equal(2);
    expect(await page.locator('body').innerText()).to.not.match(/undefined|NaN|Infinity|Loading/);
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard asks for other days when another range is chosen', async () => {
    const { page, complaints } = await dashboard.open();
    const asked = page.waitForRequest((request) => request.url().includes('group_by=day'));
    await page.getByRole('button', { name: '90 days' }).click();
    const { from, to } = lastDays(90);
    expect((await asked).url()).to.contain(`from=${from}&to=${to}`);
    expect(await page.getByRole('button', { pressed: true }).first().innerText()).to.equal(
      '90 days',
    );
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard shows markup in names as plain text', async () => {
    const { page, complaints } = await dashboard.open();
    for (const part of ['#models-view', '#consumers-view', '#entries-view']) {
      await page.locator(part).getByText(hostile, { exact: true }).first().waitFor();
    }
    await page.getByRole('button', { name: 'Most used' }).click();
    await page
      .locator('#entries-view tr', { hasText: hostile })
      .getByRole('button', { name: /Purge/ })
      .click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(hostile, { exact: true }).first().waitFor();
    expect(await dialog.getByText(hostile, { exact: true }).count()).to.equal(2);
    expect(await page.locator('img').count()).to.equal(0);
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard counts requests live', async () => {
    const { page, complaints } = await dashboard.open();
    for (let times = 0; times < 4; times++) await dashboard.ask('openai', 'priced-model', 'one');
    await eventually(
      async () => (await figure(page, 'minute-rate').innerText()) === '100.0%',
      'the live hit rate',
      10_000,
    );
    expect(Number(await figure(page, 'per-second').innerText())).to.be.above(0);
    expect(await figure(page, 'joiners').innerText()).to.equal('0');
    expect(await page.locator('#reachable').innerText()).to.equal('Live');
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard purges an entry only once that is confirmed', async () => {
    await dashboard.ask('openai', 'to-purge', 'five');
    const { page, complaints } = await dashboard.open();
    const row = page.locator('#entries-view tr', { hasText: 'to-purge' });
    const dialog = page.getByRole('dialog');
    let deletions = 0;
    page.on('request', (request) => (deletions += request.method() === 'DELETE' ? 1 : 0));

    for (const cancel of ['button', 'Escape']) {
      await row.getByRole('button', { name: /Purge/ }).click();
      expect(await dialog.innerText()).to.contain('to-purge');
      if (cancel === 'Escape') await page.keyboard.press('Escape');
      else await dialog.getByRole('button', { name: 'Cancel' }).click();
      await dialog.waitFor({ state: 'hidden' });
    }
    expect(await dashboard.storedModels()).to.include('to-purge');
    expect([await row.count(), deletions]).to.deep.equal([1, 0]);

    await row.getByRole('button', { name: /Purge/ }).click();
    await dialog.getByRole('button', { name: 'Purge' }).click();
    await page.getByText('Purged: ').waitFor();
    await row.waitFor({ state: 'detached' });
    expect(deletions).to.equal(1);
    expect(await dashboard.storedModels()).to.not.include('to-purge');
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard purges by filter: it counts, asks, and then deletes', async () => {
    for (const content of ['six', 'seven']) await dashboard.ask('openai', 'two-to-purge', content);
    const { page, complaints } = await dashboard.open();
    const form = page.locator('#purge-form');
    const dialog = page.getByRole('dialog');

    await form.getByRole('button').click();
    await page.getByText('Say what to purge').waitFor();
    await form.getByLabel('Model').fill('no such model');
    await form.getByRole('button').click();
    await page.getByText('No entry matches.').waitFor();

    await form.getByLabel('Model').fill('two-to-purge');
    await form.getByRole('button').click();
    await dialog.getByRole('heading', { name: 'Purge 2 entries?' }).waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    expect(await dashboard.storedModels()).to.include('two-to-purge');

    await form.getByRole('button').click();
    await dialog.getByRole('button', { name: 'Purge 2 entries' }).click();
    await page.getByText('Purged: 2 entries.').waitFor();
    expect(await dashboard.storedModels()).to.not.include('two-to-purge');
    await page
      .locator('#entries-view tr', { hasText: 'two-to-purge' })
      .first()
      .waitFor({ state: 'detached' });
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard exports the entries of a store as a file, and imports it once that is confirmed', async () => {
    await dashboard.ask('openai', 'to-move', 'eight');
    const { page, complaints } = await dashboard.open();
    const form = page.locator('#transfer-form');
    const dialog = page.getByRole('dialog');
    const submit = form.getByRole('button', { name: 'Import …' });
    const downloading = page.waitForEvent('download');
    await form.getByRole('link', { name: 'Export' }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).to.match(/^llm-cache-.*\.snapshot$/);
    const file = {
      name: 'moved.snapshot',
      mimeType: '',
      buffer: readFileSync(await download.path()),
    };

    await fetch(`${dashboard.url}/entries?model=to-move`, { method: 'DELETE' });
    expect(await submit.isDisabled()).to.equal(true);
    await form.getByLabel('File to import').setInputFiles(file);
    await submit.click();
    expect(await dialog.innerText())
      .to.contain('moved.snapshot')
      .and.to.contain('memory');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    expect(await dashboard.storedModels()).to.not.include('to-move');

    await submit.click();
    await dialog.getByRole('button', { name: 'Import' }).click();
    await page.getByText('Imported: 1. Skipped').waitFor();
    expect(await dashboard.storedModels()).to.include('to-move');

    const broken = { ...file, buffer: Buffer.from('not an export') };
    await form.getByLabel('File to import').setInputFiles(broken);
    await submit.click();
    await dialog.getByRole('button', { name: 'Import' }).click();
    await page.getByText(/Not imported: .*\(400\)/).waitFor();
    expect(complaints.filter((one) => !one.includes('400'))).to.deep.equal([]);
  });

  it('The dashboard explains what the cache would do with a request', async () => {
    const { page, complaints } = await dashboard.open();
    const form = page.locator('#explain-form');
    const result = page.locator('#explain-result');
    const body = { model: 'priced-model', messages: [{ role: 'user', content: 'one' }] };
    await form.getByLabel('API endpoint').fill('openai');
    // In these tests, clients send paths with the pipeline's prefix.
    await form.getByLabel('Path').fill('/openai/v1/chat/completions');
    await form.getByLabel('Body').fill(JSON.stringify(body));
    await form.getByRole('button').click();
    await result.locator('strong', { hasText: 'hit' }).waitFor();

    // Larger than the admin port parses as JSON.
    const large = { ...body, temperature: 0.5, user: 'x'.repeat(150_000) };
    await form.getByLabel('Body').fill(JSON.stringify(large));
    await form.getByRole('button').click();
    await result.locator('strong', { hasText: 'miss' }).waitFor();
    const nearest = await result.locator('.nearest').innerText();
    expect(nearest).to.contain('temperature').and.to.contain('user');

    await form.getByLabel('Headers').fill('Cache-Control: no-cache\nX-Other: 1');
    await form.getByLabel('Body').fill(JSON.stringify(body));
    await form.getByRole('button').click();
    await result.getByText('no-cache', { exact: true }).waitFor();
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard says what a store that is too small has cost', async () => {
    const { page, complaints } = await dashboard.open({
      prepare: async (one) => {
        await one.route('**/llm-cache/stats', async (route) => {
          const real = (await (await route.fetch()).json()) as Stats;
          const twiceTheMemory = { hits: 90, usd: 12.5 };
          const eviction = { ranking: 'worth', missedHits: 1234, missedUsd: 20, twiceTheMemory };
          const memory = { ...real.stores['memory'], evictions: 5000, eviction };
          await route.fulfill({ json: { ...real, stores: { memory } } });
        });
      },
    });
    const text = await page.locator('#stores-view .room').innerText();
    expect(text)
      .to.contain('at least 1,234 hits, worth $20.00')
      .and.to.contain('about $12.50 more');
    expect(complaints).to.deep.equal([]);
  });

  it('The dashboard keeps its other parts when one call fails, and retries that part', async () => {
    let fails = true;
    const { page } = await dashboard.open({
      prepare: async (one) => {
        await one.route('**/usage?*group_by=model*', (route) =>
          fails
            ? route.fulfill({ status: 503, json: { error: { message: 'down' } } })
            : route.continue(),
        );
      },
    });
    const models = page.locator('#models-view');
    expect(await models.innerText()).to.contain('Not loaded: down (503)');
    expect(await rowsIn(page, '#consumers-view')).to.not.deep.equal([]);
    fails = false;
    await models.getByRole('button', { name: 'Try again' }).click();
    await models.getByText('priced-model').waitFor();
    expect(await models.innerText()).to.not.contain('Not loaded');
  });

  it('The dashboard says when the gateway is unreachable, keeps its figures, and recovers', async () => {
    const { page } = await dashboard.open();
    await page.route('**/llm-cache/**', (route) => route.abort());
    await page.getByText('Not reachable, trying again').waitFor();
    expect(await figure(page, 'requests').innerText()).to.not.equal('');
    expect(await rowsIn(page, '#outcomes-view')).to.not.deep.equal([]);
    await page.unroute('**/llm-cache/**');
    await page.locator('#reachable', { hasText: 'Live' }).waitFor();
    await page.locator('#outcomes-view .note').waitFor({ state: 'detached' });
  });

  it('The dashboard names the part that is not there, and says how to go on, when it is told to sign in', async () => {
    const { page } = await dashboard.openSoon({
      prepare: async (one) => {
        await one.route(/llm-cache\/(stats|usage|budgets|entries|requests)/, (route) =>
          route.fulfill({ status: 401, body: 'Unauthorized' }),
        );
      },
    });
    await page.locator('#reachable', { hasText: 'Answers 401, trying again' }).waitFor();
    for (const [part, title] of [
      ['#headline-view', 'Savings'],
      ['#budgets-view', 'Budgets'],
      ['#stores-view', 'Stores'],
    ] as const) {
      const text = `${title}. Not loaded: Unauthorized (401); sign in and reload this page`;
      await page.locator(part).getByText(text).waitFor();
    }
  });

  it('The dashboard keeps the button that says why in sight where a table is wider than the screen', async () => {
    const { page } = await dashboard.open({ viewport: { width: 700, height: 900 } });
    const table = page.locator('#requests-view .scroll');
    const isWider = () => table.evaluate((one) => one.scrollWidth > one.clientWidth);
    expect(await isWider()).to.equal(true);
    const box = await table.getByRole('button', { name: 'Why?' }).first().boundingBox();
    expect((box?.x ?? Infinity) + (box?.width ?? 0)).to.be.below(700);
  });

  it('The dashboard fits a narrow screen, in light and in dark', async () => {
    const backgrounds: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await dashboard.open({
        colorScheme,
        viewport: { width: 400, height: 800 },
      });
      const width = () => page.evaluate(() => document.documentElement.scrollWidth);
      expect(await width()).to.be.at.most(400);
      await page.locator('#entries-view').getByRole('button', { name: /Purge/ }).first().click();
      expect(await width()).to.be.at.most(400);
      backgrounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      expect(complaints).to.deep.equal([]);
    }
    const [light, dark] = backgrounds.map((color) => Number(/\d+/.exec(color)?.[0]));
    expect([light! > 200, dark! < 60]).to.deep.equal([true, true]);
  });

  it('The dashboard works behind a proxy that adds a path prefix', async () => {
    const { page } = await dashboard.open();
    const paths = await page.evaluate(() =>
      [...document.querySelectorAll('script, link[rel=stylesheet]')].map((element) =>
        element.getAttribute(element.localName === 'script' ? 'src' : 'href'),
      ),
    );
    expect(paths).to.have.members(['llm-cache/dashboard.js', 'llm-cache/dashboard.css']);
    const asked: string[] = [];
    const own = new URL(dashboard.url);
    await page.route('**/tools/gate/**', async (route) => {
      const { pathname, search } = new URL(route.request().url());
      asked.push(pathname);
      const url = `${own.origin}${pathname.replace('/tools/gate', '')}${search}`;
      await route.fulfill({ response: await route.fetch({ url }) });
    });
    await page.goto(`${own.origin}/tools/gate/llm-cache`);
    await figure(page, 'requests').waitFor();
    expect(asked).to.include.members([
      '/tools/gate/llm-cache/dashboard.js',
      '/tools/gate/llm-cache/stats',
    ]);
  });

  it('The dashboard is drawn for the documents with UPDATE_DOCS', async function () {
    if (process.env['UPDATE_DOCS'] === undefined) this.skip();
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await dashboard.open({
        colorScheme,
        viewport: { width: 1200, height: 1000 },
        prepare: showSample,
      });
      await page.getByRole('button', { name: '30 days' }).click();
      // The live line needs several samples.
      await page.waitForTimeout(24_000);
      mkdirSync(join('examples', 'observability'), { recursive: true });
      await page.screenshot({
        path: join('examples', 'observability', `dashboard-${colorScheme}.png`),
      });
      expect(complaints).to.deep.equal([]);
    }
  });
});

describe('The live rates of the dashboard', () => {
  function statsOf(requests: number, hit: number): Stats {
    const outcomes = { hit, miss: requests - hit, coalesced: 0, stale: 0, request: 0, bypass: 0 };
    const pipelines = { api: { requests, outcomes, reasons: {}, notStored: {} } };
    const more = { stores: {}, sinks: {}, joiners: 0, bufferedBytes: 0, tryout: null };
    return { version: '', uptime: 0, pipelines, ...more };
  }
  const seconds = (number: number) => number * 1000;

  it('The live rates are what the counters gained in the last minute and in ten seconds', () => {
    const rates = new Rates();
    rates.add(statsOf(1000, 0), 0);
    expect([rates.perSecond, rates.hitRate]).to.deep.equal([null, null]);
    for (let at = 2; at <= 100; at += 2) rates.add(statsOf(1000 + 5 * at, at), seconds(at));
    expect([rates.perSecond, rates.hitRate]).to.deep.equal([5, 0.2]);
    expect(rates.span).to.be.closeTo(60, 2);
    expect(rates.line.at(0)?.ago).to.be.at.most(60);
  });

  it('The live rates start over after a restart of the gateway and after a silence', () => {
    const rates = new Rates();
    rates.add(statsOf(1000, 500), 0);
    rates.add(statsOf(3, 0), seconds(2));
    expect([rates.perSecond, rates.hitRate]).to.deep.equal([null, null]);
    rates.add(statsOf(5, 1), seconds(4));
    expect([rates.perSecond, rates.hitRate]).to.deep.equal([1, 0.5]);
    rates.add(statsOf(900, 800), seconds(600));
    expect([rates.perSecond, rates.hitRate]).to.deep.equal([null, null]);
  });
});
