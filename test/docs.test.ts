import { existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import process from 'node:process';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { checkPipelines } from '../policies/hosts/pipeline-checks.ts';
import { checkStores } from '../policies/hosts/store-checks.ts';
import { checkUsage } from '../policies/hosts/usage-checks.ts';
import { readSettings } from '../policies/hosts/configuration.ts';
import { scenarios } from '../bench/reliability/scenarios.ts';
import { orderWarnings } from '../policies/hosts/gateway/order-warnings.ts';
import { readPipelines } from '../policies/hosts/pipelines.ts';
import { isObject } from '../policies/shared/json/json.ts';
import type { PluginSettings } from '../schemas/plugin.ts';
import { docTables } from './support/doc-tables.ts';
import { anchors, codeBlocks, documents, links } from './support/documents.ts';

const marked = /<!-- table: ([a-z-]+) -->\n(?:\n?([\s\S]*?)\n\n?)??<!-- \/table -->/g;

describe('The documents', () => {
  // UPDATE_DOCS=1 regenerates the tables.
  before(() => {
    if (process.env['UPDATE_DOCS'] !== '1') return;
    for (const [path, text] of documents()) {
      const updated = text.replace(
        marked,
        (_all, name: string) => `<!-- table: ${name} -->\n\n${docTables[name]}\n\n<!-- /table -->`,
      );
      if (updated !== text) writeFileSync(path, updated);
    }
  });

  it('The documents have every generated table once, and up to date', () => {
    const tables = [...documents().values()].flatMap((text) => [...text.matchAll(marked)]);
    const found = Object.fromEntries(tables.map(([, name, body]) => [name, body]));
    expect(found).to.deep.equal({ ...docTables });
    expect(tables.length).to.equal(Object.keys(docTables).length);
  });

  it('The documents link only to files and headings that exist', () => {
    const texts = documents();
    const dead = [...texts].flatMap(([path, text]) =>
      links(text)
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [file = '', anchor] = link.split('#');
          const target = file === '' ? path : join(dirname(path), file);
          if (!existsSync(target)) return true;
          if (anchor === undefined) return false;
          return statSync(target).isDirectory() || !anchors(texts.get(target) ?? '').has(anchor);
        })
        .map((link) => `${path}: ${link}`),
    );
    expect(dead).to.deep.equal([]);
  });

  it('The documents are all reachable from the README', () => {
    const texts = documents();
    const reached = new Set<string>();
    const visit = (path: string) => {
      const text = texts.get(path);
      if (text === undefined || reached.has(path)) return;
      reached.add(path);
      for (const link of links(text)) {
        const target = join(dirname(path), link.split('#')[0] ?? '');
        visit(target);
        visit(join(target, 'README.md'));
      }
    };
    visit('README.md');
    const own = [...texts.keys()].filter((path) => !path.startsWith('.github/'));
    expect(own.filter((path) => !reached.has(path))).to.deep.equal([]);
  });

  it('The documents show only configurations that the plugin accepts, without an order warning', () => {
    let shown = 0;
    for (const [path, text] of documents()) {
      const blocks = codeBlocks(text, 'yaml').flatMap((block) => parseBlock(block, path));
      shown += blocks.length;
      const settings = settingsIn(blocks);
      for (const block of blocks) checkBlock(block, settings, path);
    }
    expect(shown).to.be.above(15);
  });

  it('The reliability table has a row for each scenario of its script, in order', () => {
    const text = documents().get('docs/performance.md') ?? '';
    const [, table = ''] = /<!-- bench: reliability -->([\s\S]*?)<!-- \/bench -->/.exec(text) ?? [];
    const rows = [...table.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)];
    expect(rows.map(([, name]) => name)).to.deep.equal(Object.keys(scenarios));
    for (const [, name, , figures] of rows) expect(figures, name).to.match(/\d/);
  });

  it('The documents show only JSON that parses', () => {
    for (const text of documents().values()) {
      for (const block of codeBlocks(text, 'json')) JSON.parse(block);
    }
  });

  it('The README has at most 150 lines, and the commands to run the demo and the tests', () => {
    const readme = documents().get('README.md') ?? '';
    expect(readme.split('\n').length).to.be.at.most(150);
    expect(readme).to.contain('npm ci && npm start').and.to.contain('npm ci && npm test');
  });
});

/** A plausible value for each variable that a block names. */
const variables = {
  LLM_CACHE_SECRET: 'secret',
  LLM_CACHE_KEY: Buffer.alloc(32).toString('base64'),
};

function parseBlock(block: string, path: string): unknown[] {
  let text = block;
  for (const [name, value] of Object.entries(variables)) {
    text = text.replaceAll(`\${${name}}`, value);
  }
  return parseAllDocuments(text).map((parsed) => {
    if (parsed.errors.length > 0) throw new Error(`${path}: ${String(parsed.errors[0])}\n${block}`);
    return parsed.toJS() as unknown;
  });
}

/** Returns the plugin's settings in a block of system.config.yml, or undefined if it has none. */
function pluginIn(block: unknown): Record<string, unknown> | undefined {
  const plugins = isObject(block) ? block['plugins'] : undefined;
  if (!isObject(plugins)) return undefined;
  return (plugins['llm-cache'] ?? {}) as Record<string, unknown>;
}

/** Returns settings with all stores that a document configures, so that its pipelines can name them. */
function settingsIn(blocks: readonly unknown[]): PluginSettings {
  const stores = blocks.map((block) => pluginIn(block)?.['stores']).filter(isObject);
  return readSettings({ settings: { stores: Object.assign({}, ...stores) as unknown } });
}

function checkBlock(block: unknown, settings: PluginSettings, path: string): void {
  const plugin = pluginIn(block);
  if (plugin !== undefined) {
    const own = readSettings({ settings: plugin });
    checkStores(own, {});
    checkUsage(own);
    return;
  }
  const isSteps = Array.isArray(block);
  const showsUsage = isSteps && block.some((step) => isObject(step) && 'llm-usage' in step);
  const before = [{ 'key-auth': null }, ...(showsUsage ? [] : [{ 'llm-usage': null }])];
  if (!isSteps && !(isObject(block) && 'pipelines' in block)) {
    throw new Error(`${path}: a yaml block is neither settings nor pipelines nor steps`);
  }
  const config = isSteps
    ? // Steps are shown without what stands before them.
      {
        pipelines: {
          shown: {
            apiEndpoints: ['shown'],
            policies: [...before, ...block],
          },
        },
      }
    : block;
  const pipelines = readPipelines(config);
  checkPipelines(pipelines, settings);
  expect(pipelines.flatMap(orderWarnings), path).to.deep.equal([]);
}
