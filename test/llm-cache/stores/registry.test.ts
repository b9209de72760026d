import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CachedResponse } from '../../../policies/llm-cache/entry.ts';
import { StoreRegistry, storeSettings } from '../../../policies/llm-cache/stores/registry.ts';
import type { StoreSettings } from '../../../schemas/plugin.ts';
import { ConfigurationError } from '../../../schemas/validate.ts';
import { makeEntry } from '../../support/entry.ts';
import { eventually } from '../../support/eventually.ts';

const minute = 60_000;
const entry: CachedResponse = {
  namespace: 'openai',
  protocol: 'chat',
  model: null,
  requestedModel: null,
  consumer: null,
  stream: false,
  responseId: null,
  usage: null,
  fingerprint: {},
  headers: {},
  storedAt: 0,
  freshUntil: 8.64e15,
  expiresAt: 8.64e15,
  body: new Uint8Array([1, 2, 3]),
};

const small: StoreSettings = { type: 'memory', maxBytes: 4096, eviction: 'worth' };
const large: StoreSettings = { type: 'memory', maxBytes: 8192, eviction: 'worth' };

describe('The registry of stores', () => {
  let now: number;
  let registry: StoreRegistry;

  beforeEach(() => {
    now = 1_000_000;
    registry = new StoreRegistry(() => now);
    registry.configure({});
  });

  /** Opens the store and puts something into it. */
  async function filled(name: string) {
    const store = registry.open(name);
    await store.set('key', entry);
    return store;
  }

  const has = async (name: string) => (await registry.open(name).get('key')) !== undefined;

  it('The store registry has a store named memory without any settings', () => {
    expect(registry.open('memory').stats()).to.include({
      type: 'memory',
      maxBytes: 268435456,
    });
    expect(storeSettings({ near: small })).to.have.keys('memory', 'near');
  });

  it("The store registry takes the operator's settings for the store named memory", () => {
    registry.configure({ memory: small });
    expect(registry.open('memory').stats().maxBytes).to.equal(4096);
  });

  it('The store registry refuses an unknown name, and lists the known ones', () => {
    registry.configure({ near: small });
    for (const name of ['far', 'constructor', '__proto__', '']) {
      expect(() => registry.open(name)).to.throw(
        ConfigurationError,
        `llm-cache: "store" must be one of memory, near (the stores that are configured), got "${name}"`,
      );
    }
  });

  it('The store registry gives one store per name', async () => {
    registry.configure({ near: small, far: small });
    await filled('near');
    expect(await has('near')).to.equal(true);
    expect(await has('far')).to.equal(false);
    expect(registry.open('near').stats().entries).to.equal(1);
  });

  describe('Reloads', () => {
    it('The store registry keeps a store across reloads where its settings stay', async () => {
      registry.configure({ near: small });
      const before = await filled('near');
      registry.configure({ near: { ...small }, other: large });
      expect(await has('near')).to.equal(true);
      expect(await before.get('key')).to.deep.equal(entry);
    });

    it('The store registry keeps a store whose settings only changed their order', async () => {
      registry.configure({ near: { type: 'memory', maxBytes: 4096, eviction: 'worth' } });
      await filled('near');
      registry.configure({ near: { maxBytes: 4096, eviction: 'worth', type: 'memory' } });
      expect(await has('near')).to.equal(true);
    });

    it('The store registry starts a new store for changed settings, and leaves the old one to its holders', async () => {
      registry.configure({ near: small });
      const before = await filled('near');
      registry.configure({ near: large });
      expect(await has('near')).to.equal(false);
      expect(registry.open('near').stats().maxBytes).to.equal(8192);
      expect(await before.get('key')).to.deep.equal(entry);
    });

    it('The store registry no longer opens a store whose name is gone', () => {
      registry.configure({ near: small });
      registry.configure({});
      expect(() => registry.open('near')).to.throw(ConfigurationError);
    });
  });

  describe('Sweeps', () => {
    beforeEach(() => registry.configure({ near: small }));

    it('The store registry closes a store that has no name any more after five minutes without use', async () => {
      const store = await filled('near');
      registry.configure({});
      now += 5 * minute - 1;
      await registry.sweep();
      expect(store.stats().entries).to.equal(1);
      now += 1;
      await registry.sweep();
      expect(store.stats().entries).to.equal(0);
    });

    it('The store registry leaves a store alone that is still read or written', async () => {
      const store = await filled('near');
      registry.configure({});
      for (const use of [() => store.get('other'), () => store.set('second', entry)]) {
        now += 4 * minute;
        await use();
        await registry.sweep();
      }
      now += 4 * minute;
      await registry.sweep();
      expect(store.stats().entries).to.equal(2);
    });

    it('The store registry does not take reading the stats of a store for a use', async () => {
      const store = await filled('near');
      registry.configure({});
      now += 4 * minute;
      store.stats();
      now += minute;
      await registry.sweep();
      expect(store.stats().entries).to.equal(0);
    });

    it('The store registry leaves a configured store alone, however long it is unused', async () => {
      const store = await filled('near');
      now += 60 * minute;
      await registry.sweep();
      expect(store.stats().entries).to.equal(1);
    });

    it('The store registry leaves a store alone that is configured again in time', async () => {
      const store = await filled('near');
      registry.configure({});
      registry.configure({ near: small });
      now += 60 * minute;
      await registry.sweep();
      expect(store.stats().entries).to.equal(1);
      expect(await has('near')).to.equal(true);
    });

    it('The store registry leaves a closed store usable for its holders', async () => {
      const store = await filled('near');
      registry.configure({});
      now += 5 * minute;
      await registry.sweep();
      expect(await store.get('key')).to.equal(undefined);
      expect(await store.set('key', entry)).to.equal(true);
      expect(await store.get('key')).to.deep.equal(entry);
      await store.close();
    });
  });
});

describe('A persisted memory store across reloads', () => {
  it("The store registry hands a persisted store's file to its successor and back", async () => {
    const dir = mkdtempSync(join(tmpdir(), 'llm-cache-registry-'));
    const path = join(dir, 'entries.snapshot');
    const settings = (maxBytes: number) => ({
      memory: {
        type: 'memory',
        eviction: 'worth',
        maxBytes,
        persist: { path, everySeconds: 3600 },
      } as const,
    });
    const lines: string[] = [];
    const say = (line: string) => void lines.push(line);
    const log = { info: say, warn: say, error: say };
    const registry = new StoreRegistry();
    try {
      registry.configure(settings(1_000_000), { secret: 's', log });
      const before = registry.open('memory');
      await before.set('a', makeEntry(Date.now()));
      registry.configure(settings(2_000_000));
      const after = registry.open('memory');
      await eventually(() => lines.length > 0, 'the file has been read');
      expect(await after.get('a')).to.not.equal(undefined);
      // An old pipeline goes on with the old store, which leaves the file alone.
      await before.set('b', makeEntry(Date.now()));
      await after.set('c', makeEntry(Date.now()));
      await registry.save();

      registry.configure(settings(1_000_000));
      await registry.save();
      await registry.close();
      const next = new StoreRegistry();
      next.configure(settings(1_000_000), { secret: 's', log });
      await eventually(() => lines.length > 1, 'the file has been read again');
      const kept = next.open('memory');
      expect(await kept.get('b')).to.not.equal(undefined);
      await next.close();
    } finally {
      await registry.close();
      rmSync(dir, { recursive: true });
    }
  });
});
