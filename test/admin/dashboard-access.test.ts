import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { expect } from 'chai';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { Dashboard, figure, titled } from '../support/dashboard.ts';
import { showSample } from '../support/dashboard-sample.ts';

const axe = readFileSync(createRequire(`${process.cwd()}/`).resolve('axe-core/axe.min.js'), 'utf8');

/** Returns the violations that axe-core finds, with their places. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}: ${failureSummary}`,
    ),
  );
}

describe(titled('Access to the dashboard'), function () {
  this.timeout(90_000);
  const dashboard = Dashboard.use();

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1440, 768, 390]) {
      it(`The dashboard has no axe-core violation, ${colorScheme} and ${width} pixels wide`, async () => {
        const viewport = { width, height: 900 };
        const { page } = await dashboard.open({ colorScheme, viewport, prepare: showSample });
        await page.locator('summary').first().click();
        await page.getByRole('button', { name: 'Other …' }).click();
        expect(await violations(page)).to.deep.equal([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.equal(width);
      });
    }

    it(`The dashboard has no axe-core violation with details, old figures and a dialog open, ${colorScheme}`, async () => {
      const { page } = await dashboard.open({ colorScheme });
      await page
        .getByRole('button', { name: /^Why\? miss/ })
        .first()
        .click();
      await page.locator('.detail .nearest').waitFor();
      await page.locator('.detail .key').first().click();
      await page.route('**/usage?*', (route) => route.abort());
      await page.getByRole('button', { name: '30 days' }).click();
      await page.locator('#headline-view .as-of').waitFor();
      expect(await violations(page)).to.deep.equal([]);
      await page.locator('#entries-view').getByRole('button', { name: /Purge/ }).first().click();
      await page.getByRole('dialog').waitFor();
      expect(await violations(page)).to.deep.equal([]);
    });
  }

  it('The dashboard shows that a table scrolls, and on which side there is more', async () => {
    const { page } = await dashboard.open({ viewport: { width: 768, height: 900 } });
    const region = page.locator('#models-view .scroll');
    expect(await region.getAttribute('class'))
      .to.contain('more-right')
      .and.not.contain('more-left');
    expect(await region.getAttribute('tabindex')).to.equal('0');
    await region.evaluate((element) => (element.scrollLeft = 10_000));
    await page.locator('#models-view .scroll.more-left').waitFor();
    expect(await region.getAttribute('class')).to.not.contain('more-right');
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.locator('#models-view .scroll:not(.more-left):not(.more-right)').waitFor();
    expect(await region.getAttribute('tabindex')).to.equal(null);
  });

  it('The dashboard stacks its tables on a phone, the money of each row first', async () => {
    const { page } = await dashboard.open({ viewport: { width: 390, height: 800 } });
    const cells = page.locator('#models-view tbody tr').first().locator('td');
    const [name, saved, requests] = await Promise.all([
      page.locator('#models-view tbody tr th').first().boundingBox(),
      cells.nth(0).boundingBox(),
      cells.nth(4).boundingBox(),
    ]);
    expect(await cells.nth(0).getAttribute('data-label')).to.equal('Saved');
    expect(saved!.y).to.be.above(name!.y);
    expect(requests!.y).to.be.above(saved!.y);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).to.equal(390);
  });

  it('The dashboard can be used by keyboard alone and keeps the focus in place', async () => {
    const { page, complaints } = await dashboard.open({ viewport: { width: 1440, height: 900 } });
    const focused = () =>
      page.evaluate(() => {
        const { activeElement: one } = document;
        return one?.getAttribute('aria-label') ?? one?.textContent?.trim() ?? '';
      });
    /** Presses Tab until an element with that name has the focus. */
    const reach = async (name: RegExp) => {
      for (let times = 0; times < 80; times++) {
        await page.keyboard.press('Tab');
        if (name.test(await focused())) return;
      }
      throw new Error(`no Tab comes to ${name}`);
    };
    await page.keyboard.press('Tab');
    expect(await focused()).to.equal('Skip to the figures');
    await page.keyboard.press('Enter');
    await reach(/^30 days$/);
    await page.keyboard.press('Space');
    await page.locator('#headline-view').getByText('In the last 30 days').waitFor();
    expect(await focused()).to.equal('30 days');

    await reach(/^Requests/);
    await page.keyboard.press('Enter');
    const sorted = page.locator('#models-view th[aria-sort=descending]');
    expect(await sorted.innerText()).to.contain('Requests');
    expect(await focused()).to.match(/^Requests/);

    await reach(/^Why\? miss/);
    const why = await focused();
    await page.keyboard.press('Enter');
    await page.locator('.detail .nearest, .detail .entry-facts').first().waitFor();
    expect(await focused()).to.equal(why);
    await reach(/^Key …/);
    await page.keyboard.press('Enter');
    expect(await focused()).to.match(/^Key (keyed|openai|tokens):/);

    await reach(/^Purge /);
    const purge = await focused();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    expect(await focused()).to.equal('Cancel');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(await focused()).to.equal(purge);
    expect(await figure(page, 'headline').count()).to.equal(1);
    expect(complaints).to.deep.equal([]);
  });
});
