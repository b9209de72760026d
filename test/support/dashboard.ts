import type { Browser, Page } from 'playwright-core';
import type { Entries, Usage, UsageSums } from '../../policies/admin/page/answers.ts';
import { lastDays } from '../../policies/admin/page/days.ts';
import { answers } from './answers.ts';
import { launchBrowser, visit, type Visit, whyNoBrowser } from './browser.ts';
import { eventually } from './eventually.ts';
import { Gateway, signJwt } from './gateway.ts';
import { post } from './http.ts';
import { both, gatewayConfig } from './pipelines.ts';
import { json, Upstream } from './upstream.ts';

/** A name that tries to inject HTML. */
export const hostile = '<img src=x onerror=alert(1)>';

const jwt = {
  jwt: { action: { secretOrPublicKey: 'jwt secret', checkCredentialExistence: false } },
};
const skipped = whyNoBrowser();

/** Adds to a suite's title why it is skipped, if it is. */
export const titled = (title: string) =>
  skipped === null ? title : `${title} (not here: ${skipped})`;

export interface DashboardOptions {
  /** Usage settings of the plugin, besides a price for `priced-model`. */
  readonly usage?: object;
  /** Whether the gateway has already served requests. Default: true. */
  readonly isFilled?: boolean;
}

/** A gateway with its dashboard and a browser, for the tests of a suite. */
export class Dashboard {
  gateway!: Gateway;
  upstream!: Upstream;
  ada!: { readonly id: string; readonly apiKey: string };
  #browser: Browser | undefined;
  readonly #visits: Visit[] = [];

  static use({ usage = {}, isFilled = true }: DashboardOptions = {}): Dashboard {
    const one = new Dashboard();
    before(async function () {
      if (skipped !== null) this.skip();
      one.upstream = await Upstream.start();
      one.gateway = await Gateway.start({
        gateway: gatewayConfig(one.upstream.url, {
          openai: both(),
          tokens: [jwt, ...both()],
          keyed: [{ 'key-auth': {} }, ...both()],
        }),
        settings: { usage: { prices: { 'priced-model': { input: 3, output: 15 } }, ...usage } },
      });
      one.#browser = await launchBrowser();
      one.ada = await one.gateway.createConsumer('ada');
      if (isFilled) await one.#fill();
    });
    after(async () => {
      await one.#browser?.close();
      await one.gateway?.stop();
      await one.upstream?.close();
    });
    afterEach(async () => {
      for (const { page } of one.#visits.splice(0)) await page.context().close();
    });
    return one;
  }

  /** Makes hits, misses, a failed answer, a bypass and a request with hostile names. */
  async #fill(): Promise<void> {
    await this.ask('openai', 'priced-model', 'one');
    await this.ask('openai', 'priced-model', 'one');
    await this.ask('openai', 'priced-model', 'one');
    await this.ask('openai', 'priced-model', 'two', { 'cache-control': 'no-cache' });
    await this.ask('openai', 'other-model', 'three');
    this.upstream.answer(json('{"error": {}}', {}, 500));
    await post(`${this.gateway.url}/openai/v1/chat/completions`, {
      model: 'failing',
      messages: [],
    });
    const token = signJwt({ id: hostile, iat: 1 }, 'jwt secret');
    await this.ask('tokens', hostile, 'four', { authorization: `Bearer ${token}` });
    await eventually(
      async () => (await this.total()).requests === 7,
      'the ledger has seven requests',
    );
  }

  async ask(
    pipeline: string,
    model: string,
    content: string,
    headers: Record<string, string> = {},
    more: object = {},
  ): Promise<void> {
    const answer = { ...(JSON.parse(answers.chat.json) as object), model };
    this.upstream.answer(json(JSON.stringify(answer)));
    const body = { model, messages: [{ role: 'user', content }], ...more };
    await post(`${this.gateway.url}/${pipeline}/v1/chat/completions`, body, { headers });
  }

  /** Asks as the gateway's consumer Ada. */
  asAda(model: string, content: string): Promise<void> {
    return this.ask('keyed', model, content, { authorization: `apiKey ${this.ada.apiKey}` });
  }

  get url(): string {
    return `${this.gateway.adminUrl}/llm-cache`;
  }

  async api<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.url}/${path}`)).json()) as T;
  }

  usageBy(group: string): Promise<Usage> {
    const { from, to } = lastDays(7);
    return this.api<Usage>(`usage?from=${from}&to=${to}&group_by=${group}`);
  }

  async total(): Promise<UsageSums> {
    return (await this.usageBy('day')).total;
  }

  async storedModels(): Promise<(string | null)[]> {
    return (await this.api<Entries>('entries')).entries.map(({ model }) => model);
  }

  /** Opens the page and waits until it is complete. */
  async open(options: Parameters<typeof visit>[2] = {}): Promise<Visit> {
    const opened = await this.openSoon(options);
    for (const part of ['[data-figure=requests]', '#entries-view table', '#outcomes-view table']) {
      await opened.page.locator(part).waitFor();
    }
    await opened.page.locator('#requests-view table, #requests-view .empty').first().waitFor();
    return opened;
  }

  /** Opens the page without waiting for its parts. */
  async openSoon(options: Parameters<typeof visit>[2] = {}): Promise<Visit> {
    if (this.#browser === undefined) throw new Error('there is no browser');
    const opened = await visit(this.#browser, this.url, options);
    this.#visits.push(opened);
    return opened;
  }
}

export const figure = (page: Page, id: string) => page.locator(`[data-figure=${id}]`);

/** Returns the visible text of the cells of each row in that part of the page. */
export const rowsIn = (page: Page, part: string, body = 'tbody') =>
  page
    .locator(`${part} ${body} tr:not(.detail)`)
    .evaluateAll((rows) =>
      rows.map((row) =>
        [...(row as HTMLTableRowElement).cells].map((cell) => cell.innerText.trim()),
      ),
    );
