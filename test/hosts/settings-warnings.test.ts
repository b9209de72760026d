import { expect } from 'chai';
import { readSettings } from '../../policies/hosts/configuration.ts';
import { readPipelines } from '../../policies/hosts/pipelines.ts';
import {
  secretWarnings,
  settingsWarnings,
  stepWarnings,
} from '../../policies/hosts/settings-warnings.ts';
import { actionWarnings } from '../../policies/llm-cache/action-warnings.ts';
import type { PluginSettings } from '../../schemas/plugin.ts';

const gibibyte = 2 ** 30;

describe('Warnings about sizes and times', () => {
  const warnings = (stores: object, machine = { memory: 8 * gibibyte, heap: 4 * gibibyte }) =>
    settingsWarnings(readSettings({ settings: { stores } }), 'settings', machine);
  const memory = (maxBytes: number) => ({ type: 'memory', maxBytes });

  it('The settings warnings accept the defaults, and stores that the machine has room for', () => {
    expect(warnings({})).to.deep.equal([]);
    expect(warnings({ memory: memory(6 * gibibyte), b: memory(gibibyte) })).to.deep.equal([]);
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
      'settings: stores.near: "nearTtl" is in seconds, and 86400000 seconds are 1000 days; if milliseconds were meant, write 86400',
    );
  });

  it('The step warnings name every time that looks like milliseconds', () => {
    const step = (action: unknown) =>
      readPipelines({ pipelines: { p: { policies: [{ 'llm-cache': { action } }] } } }).flatMap(
        stepWarnings,
      );
    expect(step({ ttl: 3_600_000_000, staleIfError: 86_400_000, maxTtl: 60 })).to.deep.equal([
      'pipeline "p", llm-cache: "ttl" is in seconds, and 3600000000 seconds are 41666.7 days; if milliseconds were meant, write 3600000',
      'pipeline "p", llm-cache: "staleIfError" is in seconds, and 86400000 seconds are 1000 days; if milliseconds were meant, write 86400',
    ]);
    expect(step({ ttl: 3_600_000 })).to.deep.equal([
      'pipeline "p", llm-cache: "ttl" is in seconds, and 3600000 seconds are 41.7 days; if milliseconds were meant, write 3600',
    ]);
    expect(step({ coalesceWaitMs: 15 })).to.deep.equal([
      'pipeline "p", llm-cache: "coalesceWaitMs" is in milliseconds, and no provider answers within 15 ms; if seconds were meant, write 15000',
    ]);
    for (const days of [1, 7, 25, 30, 90, 100, 365]) {
      expect(step({ ttl: days * 86_400 })).to.deep.equal([]);
    }
    expect(step(null)).to.deep.equal([]);
  });

  it('A warning is given for members and headers that must not be left out of the key', () => {
    const warningsOf = (action: Readonly<Record<string, unknown>>) =>
      actionWarnings(action, 'here');
    expect(warningsOf({ ignoreFields: ['user', 'messages', 'metadata.user'] })).to.deep.equal([
      'here: "ignoreFields" names "messages", so requests that differ in it get one another’s answers; name only what does not change the answer',
      'here: "ignoreFields" names "metadata.user", but only a top-level member can be left out of the key, and only as a whole; name "metadata", or leave it in',
    ]);
    expect(warningsOf({ ignoreHeaders: ['session_id', 'X-API-Key'] })).to.deep.equal([
      'here: "ignoreHeaders" names "X-API-Key", so callers with different credentials in it get one another’s answers; if that is meant, write scope: shared',
    ]);
    expect(warningsOf({ scope: 'shared', ignoreHeaders: ['x-api-key'] })).to.deep.equal([]);
  });

  it('A warning is given for a secret that is easy to guess where others reach what it signs', () => {
    const persistent = { memory: { type: 'memory', persist: { path: './x' } } };
    const warningsOf = (secret: string, settings: object) =>
      secretWarnings(secret, settings as PluginSettings, 'here');
    expect(warningsOf('abc', { scopeSecret: 'abc', stores: persistent })).to.deep.equal([
      'here: "scopeSecret" is easy to guess, and signs what is kept in the store "memory"; set "scopeSecret" to what `openssl rand -base64 32` prints',
    ]);
    const [ofTheGateway] = warningsOf('sensitiveKey', { stores: { shared: { type: 'redis' } } });
    expect(ofTheGateway).to.contain('"crypto.cipherKey", which stands in for "scopeSecret"');
    expect(warningsOf('sensitiveKey', { stores: {} })).to.deep.equal([]);
    expect(warningsOf('x'.repeat(44), { stores: persistent })).to.deep.equal([]);
  });
});
