import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expect } from 'chai';
import { whyNotWritable } from '../../../policies/llm-usage/sinks/writable.ts';

describe("The start check of a sink's file", () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'llm-cache-writable-'))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it("The check of a sink's file makes its folders, but not the file", () => {
    expect(whyNotWritable(join(dir, 'a/b/usage.jsonl'))).to.equal(null);
    expect(statSync(join(dir, 'a/b')).isDirectory()).to.equal(true);
    expect(statSync(join(dir, 'a/b/usage.jsonl'), { throwIfNoEntry: false })).to.equal(undefined);
    expect(whyNotWritable(join(dir, 'a/b/usage.jsonl'))).to.equal(null);
  });

  it("The check of a sink's file accepts one that exists", () => {
    writeFileSync(join(dir, 'usage.jsonl'), '{}\n');
    expect(whyNotWritable(join(dir, 'usage.jsonl'))).to.equal(null);
  });

  it("The check of a sink's file refuses a folder, and a path below a file", () => {
    mkdirSync(join(dir, 'folder'));
    expect(whyNotWritable(join(dir, 'folder'))).to.equal(
      `${join(dir, 'folder')} is a folder, expected a file`,
    );
    writeFileSync(join(dir, 'file'), '');
    expect(whyNotWritable(join(dir, 'file/deep/usage.jsonl'))).to.match(
      /the folder .*file\/deep cannot be created \(ENOTDIR\)/,
    );
    expect(whyNotWritable(join(dir, 'file/usage.jsonl'))).to.match(/ENOTDIR|EEXIST/);
  });

  it("The check of a sink's file refuses a path below a folder that takes no others", function () {
    if (process.platform !== 'linux') this.skip();
    expect(whyNotWritable('/proc/nowhere/usage.jsonl')).to.match(
      /the folder \/proc\/nowhere cannot be created \(/,
    );
  });
});
