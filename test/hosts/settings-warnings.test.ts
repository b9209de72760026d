import { expect } from 'chai';
import { readSettings } from '../../policies/hosts/configuration.ts';
import { readPipelines } from '../../policies/hosts/pipelines.ts';
import {
  secretWarnings,
  settingsWarnings,
  stepWarnings,
} from '../../policies/hosts/settings-warnings.ts';

const gibibyte = 2 ** 30;

describe('Warnings about sizes and times', () => {
  const warnings = (stores: object, machine = { memory: 8 * gibibyte, heap: 4 * gibibyte }) =>
    settingsWarnings(readSettings({ settings: { stores } }), 'settings', machine);
  const memory = (maxBytes: number) => ({ type: 'memory', maxBytes });

  it('The settings warnings accept the defaults, and stores that the machine has room for', () => {
    expect(warnings({})).to.deep.equal([]);
    expect(warnings({ memory: memory(6 * gibibyte), b: memory(gibibyte) })).to.deep.equal([]);
  });

  it('The settings warnings name the key that every new project of the gateway has', () => {
    expect(secretWarnings('sensitiveKey', 'settings')).to.have.length(1);
    expect(secretWarnings('sensitiveKey', 'settings')[0]).to.match(
      /^settings: without a "scopeSecret" .*"crypto\.cipherKey".*openssl rand -base64 32/,
    );
    expect(secretWarnings('another', 'settings')).to.deep.equal([]);
  });

  it('The settings warnings name a memory store that is larger than the memory', () => {
    expect(warnings({ big: memory(9 * gibibyte) })).to.deep.equal([
      'settings: "stores.big.maxBytes" is 9.0 GiB, more than the 8.0 GiB of memory that this process may use; the process would be killed before the store is full',
    ]);
  });

  it('The settings warnings name memory stores that together are larger than the memory', () => {
    const found = warnings({ a: memory(5 * gibibyte), b: memory(4 * gibibyte) });
    expect(found).to.deep.equal([
      'settings: the "maxBytes" of all memory stores together are 9.3 GiB, more than the 8.0 GiB of memory that this process may use; the process would be killed before they are full',
    ]);
  });

  it('The settings warnings name stores that would fill the heap, and how to give Node more', () => {
    const [found, ...more] = warnings(
      { a: memory(5 * gibibyte) },
      { memory: 8 * gibibyte, heap: gibibyte },
    );
    expect(found).to.contain('5.3 GiB').and.to.contain('--max-old-space-size');
    expect(found).to.contain('the heap ends at 1.0 GiB');
    expect(more).to.deep.equal([]);
  });

  it('The settings warnings name every fault, and a nearTtl that looks like milliseconds', () => {
    const far = { type: 'redis', url: 'redis://127.0.0.1:1' };
    const found = warnings(
      {
        far,
        near: { type: 'tiered', far: 'far', nearTtl: 86_400_000 },
        a: memory(5 * gibibyte),
        b: memory(4 * gibibyte),
      },
      { memory: 8 * gibibyte, heap: gibibyte },
    );
    expect(found).to.have.length(3);
    expect(found[0]).to.equal(
      'settings: stores.near: "nearTtl" is 86400000 seconds, more than a year; it is in seconds, not in milliseconds',
    );
  });

  it('The step warnings name every time that looks like milliseconds', () => {
    const step = (action: unknown) =>
      readPipelines({ pipelines: { p: { policies: [{ 'llm-cache': { action } }] } } }).flatMap(
        stepWarnings,
      );
    expect(step({ ttl: 3_600_000_000, staleIfError: 86_400_000, maxTtl: 60 })).to.deep.equal([
      'pipeline "p", llm-cache: "ttl" is 3600000000 seconds, more than a year; it is in seconds, not in milliseconds',
      'pipeline "p", llm-cache: "staleIfError" is 86400000 seconds, more than a year; it is in seconds, not in milliseconds',
    ]);
    expect(step({ ttl: 31_536_000 })).to.deep.equal([]);
    expect(step(null)).to.deep.equal([]);
  });
});
