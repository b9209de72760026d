import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';

const text = readFileSync('CONTRIBUTING.md', 'utf8');
const architecture = readFileSync('docs/architecture.md', 'utf8');
const scripts = Object.keys(
  (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }).scripts,
);

describe('CONTRIBUTING.md', () => {
  it('CONTRIBUTING.md names files that exist', () => {
    const named = [...text.matchAll(/`((?:policies|test|schemas|\.ci)\/[\w./-]*)`/g)];
    const linked = [...text.matchAll(/\]\(([\w./-]+)\)/g)];
    const paths = [...named, ...linked].map(([, path = '']) => path);
    expect(paths.length).to.be.above(10);
    expect(paths.filter((path) => !existsSync(path))).to.deep.equal([]);
  });

  it('CONTRIBUTING.md names commands that exist', () => {
    const named = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
    expect(named).to.include('dev');
    for (const name of named) expect(scripts).to.include(name);
  });
});

describe('Docs/architecture.md', () => {
  it('The architecture map shows every folder of the sources', () => {
    const map = /```\nmanifest[\s\S]*?```/.exec(architecture)?.[0] ?? '';
    const folders = readdirSync('policies', { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    for (const name of folders) expect(map).to.contain(`${name}/`);
    for (const file of readdirSync('policies/hosts').filter((name) => name.endsWith('.ts'))) {
      expect(map).to.contain(file);
    }
  });
});

describe('The titles of the tests', () => {
  it('Test titles begin with their actor, and no two are the same', function () {
    let root = this.test?.parent;
    while (root?.parent) root = root.parent;
    // The titles of all files loaded in this run, including generated tests.
    const titles: string[] = [];
    root?.eachTest(({ title }) => void titles.push(title));
    // A title that starts with a verb, such as "is refused", only makes sense with its `describe`.
    expect(titles.filter((title) => !/^[A-Z]/.test(title))).to.deep.equal([]);
    expect(titles.filter((title, at) => titles.indexOf(title) < at)).to.deep.equal([]);
  });
});
