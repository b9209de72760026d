import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { readmeTables } from './support/readme-tables.ts';

const marked = /<!-- table: ([a-z-]+) -->\n(?:\n?([\s\S]*?)\n\n?)??<!-- \/table -->/g;

describe('README.md', () => {
  // UPDATE_README=1 writes the tables anew.
  before(() => {
    if (process.env['UPDATE_README'] !== '1') return;
    const text = readFileSync('README.md', 'utf8').replace(
      marked,
      (_all, name: string) => `<!-- table: ${name} -->\n\n${readmeTables[name]}\n\n<!-- /table -->`,
    );
    writeFileSync('README.md', text);
  });

  it('has every table, as the schemas and the lists of reasons have it', () => {
    const found = Object.fromEntries(
      [...readFileSync('README.md', 'utf8').matchAll(marked)].map(([, name, body]) => [name, body]),
    );
    expect(found).to.deep.equal({ ...readmeTables });
  });
});
