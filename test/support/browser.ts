import { existsSync } from 'node:fs';
import process from 'node:process';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Returns why no browser is available, or null if one is. */
export function whyNoBrowser(): string | null {
  if ('Deno' in globalThis) return 'browser tests run only in Node';
  return existsSync(executablePath)
    ? null
    : `no Chromium at ${executablePath}; set CHROMIUM to its path`;
}

export async function launchBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/**
 * An open page and its complaints: errors, warnings, dialogs, policy violations and foreign
 * requests.
 */
export interface Visit {
  readonly page: Page;
  readonly complaints: readonly string[];
}

/** Opens `url` in a new context. Every request to another origin counts as a complaint. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions & { readonly prepare?: (page: Page) => Promise<void> } = {},
): Promise<Visit> {
  const { prepare, ...contextOptions } = options;
  const context = await browser.newContext({ locale: 'en-US', ...contextOptions });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`alert: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const isOwn = new URL(request.url()).origin === new URL(url).origin;
    if (!isOwn && !request.url().startsWith('data:')) complaints.push(`asked ${request.url()}`);
  });
  await page.exposeFunction('tellViolation', (text: string) => complaints.push(text));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      const { tellViolation } = globalThis as unknown as { tellViolation(text: string): void };
      tellViolation(`against the policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  await prepare?.(page);
  await page.goto(url);
  return { page, complaints };
}
