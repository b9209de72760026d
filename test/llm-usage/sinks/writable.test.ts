import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expect } from 'chai';
import { whyNotWritable } from '../../../policies/llm-usage/sinks/writable.ts';

describe('The file of a sink, at the start', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'llm-cache-writable-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('gets its folders made, and is not made itself', () => {
    expect(whyNotWritable(join(dir, 'a/b/usage.jsonl'))).to.equal(null);
    expect(statSync(join(dir, 'a/b')).isDirectory()).to.equal(true);
    expect(statSync(join(dir, 'a/b/usage.jsonl'), { throwIfNoEntry: false })).to.equal(undefined);
    expect(whyNotWritable(join(dir, 'a/b/usage.jsonl'))).to.equal(null);
  });

  it('may exist', () => {
    writeFileSync(join(dir, 'usage.jsonl'), '{}\n');
    expect(whyNotWritable(join(dir, 'usage.jsonl'))).to.equal(null);
  });

  it('must not be a folder, nor lie below a file', () => {
    mkdirSync(join(dir, 'folder'));
    expect(whyNotWritable(join(dir, 'folder'))).to.equal(
      `${join(dir, 'folder')} is a folder, expected a file`,
    );
    writeFileSync(join(dir, 'file'), '');
    expect(whyNotWritable(join(dir, 'file/deep/usage.jsonl'))).to.match(
      /the folder .*file\/deep cannot be made \(ENOTDIR\)/,
    );
    expect(whyNotWritable(join(dir, 'file/usage.jsonl'))).to.match(/ENOTDIR|EEXIST/);
  });

  it('is refused at once below a folder that takes no others', function () {
    if (process.platform !== 'linux') this.skip();
    expect(whyNotWritable('/proc/nowhere/usage.jsonl')).to.match(
      /the folder \/proc\/nowhere cannot be made \(/,
    );
  });
});
