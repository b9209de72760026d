import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CachedResponse } from '../../../policies/llm-cache/entry.ts';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import { MemoryStore } from '../../../policies/llm-cache/stores/memory.ts';
import { PersistentStore } from '../../../policies/llm-cache/stores/persistent.ts';
import type { Seal } from '../../../policies/llm-cache/stores/seal.ts';
import { Signature } from '../../../policies/llm-cache/stores/signature.ts';
import { SnapshotFile } from '../../../policies/llm-cache/stores/snapshot-file.ts';
import { makeEntry } from '../../support/entry.ts';
import { eventually } from '../../support/eventually.ts';

const signed = new Signature('a secret');
const fresh = (more: Partial<CachedResponse> = {}) => makeEntry(Date.now(), more);

describe('The file of a store', () => {
  let dir: string;
  let path: string;
  let lines: string[];
  const opened: PersistentStore[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'llm-cache-snapshot-'));
    path = join(dir, 'entries.snapshot');
    lines = [];
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    rmSync(dir, { recursive: true });
  });

  function start(seal: Seal = signed, more: { readonly maxBytes?: number } = {}) {
    const say = (kind: string) => (text: string) => void lines.push(`${kind} ${text}`);
    const log = { info: say('info'), warn: say('warn'), error: say('error') };
    const memory = new MemoryStore({ maxBytes: 1_000_000, ...more });
    const file = new SnapshotFile({
      name: 'memory',
      store: memory,
      path,
      everySeconds: 3600,
      seal,
      log,
      soonMs: 1,
    });
    const store = new PersistentStore(memory, file);
    opened.push(store);
    return { store, file, memory };
  }

  it('The store file is written once where it is late, however often that was due', async () => {
    const { store, file } = start();
    await store.set('api:u:1', fresh());
    const due = Array.from({ length: 10 }, () => file.save());
    expect(new Set(due).size).to.equal(1);
    await due[0];
    expect(file.save()).to.not.equal(due[0]);
    await file.save();
    expect(existsSync(path)).to.equal(true);
  });

  it('The store file keeps the entries from one process to the next', async () => {
    const first = start();
    await first.file.loaded;
    const entry = fresh({ body: new TextEncoder().encode('the answer') });
    await first.store.set('a', entry);
    await first.store.set('b', fresh());
    await first.store.save();
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(readdirSync(dir)).to.deep.equal(['entries.snapshot']);

    const second = start();
    await second.file.loaded;
    expect((await second.store.get('a'))?.body).to.deep.equal(entry.body);
    expect(second.store.stats().entries).to.equal(2);
    expect(lines).to.deep.equal([`info llm-cache: store "memory" has read 2 entries from ${path}`]);
  });

  it('The store file may be missing, and is not written without a change', async () => {
    const { file, store } = start();
    await file.loaded;
    await store.save();
    expect([lines, existsSync(path)]).to.deep.equal([[], false]);
    await store.set('a', fresh());
    await store.save();
    const { mtimeMs, ino } = statSync(path);
    await store.save();
    expect(statSync(path)).to.include({ mtimeMs, ino });
  });

  it('The store file is written when an entry is replaced by another of the same size', async () => {
    const first = start();
    await first.file.loaded;
    await first.store.set('a', fresh({ body: new TextEncoder().encode('an old answer') }));
    await first.store.save();
    const newer = fresh({ body: new TextEncoder().encode('a newer one !') });
    await first.store.set('a', newer);
    await first.store.save();
    const second = start();
    await second.file.loaded;
    expect((await second.store.get('a'))?.body).to.deep.equal(newer.body);
  });

  it('The store file is written again when an entry is replaced during a save', async () => {
    const newer = fresh({ body: new TextEncoder().encode('a newer one !') });
    let replaced: Promise<boolean> | null = null;
    const replacing: Seal = {
      seal(place, bytes) {
        // The save has read the older entry by now.
        if (place[0] === 'body') replaced ??= first.store.set('a', newer);
        return signed.seal(place, bytes);
      },
      open: (place, sealed) => signed.open(place, sealed),
    };
    const first = start(replacing);
    await first.file.loaded;
    await first.store.set('a', fresh({ body: new TextEncoder().encode('an old answer') }));
    await first.store.save();
    expect(replaced).to.not.equal(null);
    await first.store.save();
    const second = start();
    await second.file.loaded;
    expect((await second.store.get('a'))?.body).to.deep.equal(newer.body);
  });

  it('The store file is encrypted where there are keys', async () => {
    const keyed = new Encryption([Buffer.alloc(32, 7).toString('base64')]);
    const first = start(keyed);
    await first.file.loaded;
    await first.store.set('key', fresh({ body: new TextEncoder().encode('the answer') }));
    await first.store.save();
    expect(readFileSync(path).includes('the answer')).to.equal(false);
    const second = start(keyed);
    await second.file.loaded;
    expect(await second.store.get('key')).to.not.equal(undefined);
  });

  it('The store file brings back nothing expired, and replaces nothing newer', async () => {
    const first = start();
    await first.file.loaded;
    await first.store.set('old', fresh({ expiresAt: Date.now() + 1 }));
    await first.store.set('both', fresh({ model: 'in the file' }));
    await first.store.save();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const second = start();
    // While the file is being read.
    await second.store.set('both', fresh({ model: 'from the provider' }));
    await second.file.loaded;
    expect((await second.store.get('both'))?.model).to.equal('from the provider');
    expect(await second.store.get('old')).to.equal(undefined);
  });

  it('The store file brings back nothing that was purged while it was read', async () => {
    const first = start();
    await first.file.loaded;
    for (const key of ['a', 'b']) await first.store.set(key, fresh({ consumer: 'ada' }));
    await first.store.save();
    const second = start();
    await second.store.purge({ consumer: 'ada' });
    await second.file.loaded;
    expect(second.store.stats().entries).to.equal(0);
  });

  it('The store file loses purged and deleted entries soon, so that no crash brings them back', async () => {
    const { file, store } = start();
    await file.loaded;
    await store.set('a', fresh({ consumer: 'ada', body: new TextEncoder().encode('of ada') }));
    await store.set('b', fresh({ consumer: 'bob', body: new TextEncoder().encode('of bob') }));
    await store.save();
    const has = (text: string) => readFileSync(path).includes(text);
    await store.purge({ consumer: 'ada' }, true);
    await store.purge({ consumer: 'ada' });
    await eventually(() => !has('of ada'), 'the purge is in the file');
    expect(has('of bob')).to.equal(true);
    await store.delete('b');
    await eventually(() => !has('of bob'), 'the deletion is in the file');
  });

  for (const [what, bytes, words] of [
    ['a foreign file', Buffer.from('some other file'), /it is not a cache snapshot/],
    ['a file of another secret', null, /another scopeSecret or encryption key/],
  ] as const) {
    it(`The store takes nothing from ${what}, logs that, and keeps it when it writes its own`, async () => {
      if (bytes === null) {
        const other = start(new Signature('another'));
        await other.file.loaded;
        await other.store.set('a', fresh());
        await other.store.save();
      } else writeFileSync(path, bytes);
      const before = readFileSync(path);
      lines = [];
      const { file, store } = start();
      await file.loaded;
      await store.save();
      expect(readFileSync(path)).to.deep.equal(before);
      expect(lines).to.have.length(1);
      expect(lines[0])
        .to.match(/^warn .* has read 0 entries/)
        .and.to.match(words);

      await store.set('b', fresh());
      await store.save();
      expect(readFileSync(`${path}.unread`)).to.deep.equal(before);
      const next = start();
      await next.file.loaded;
      expect(next.store.stats().entries).to.equal(1);
    });
  }

  it('The store file that is damaged gives back its whole entries', async () => {
    const first = start();
    await first.file.loaded;
    for (const key of ['a', 'b', 'c']) await first.store.set(key, fresh());
    await first.store.save();
    writeFileSync(path, readFileSync(path).subarray(0, -100));
    const second = start();
    await second.file.loaded;
    expect(second.store.stats().entries).to.equal(2);
    expect(lines.at(-1)).to.match(/^warn .* has read 2 entries .*: it is damaged after 2 entries/);
  });

  it('The store file that cannot be written is logged once', async () => {
    path = join(dir, 'missing', 'entries.snapshot');
    const { file, store } = start();
    await file.loaded;
    for (const key of ['a', 'b']) {
      await store.set(key, fresh());
      await store.save();
    }
    expect(lines).to.deep.equal([
      `error llm-cache: store "memory" could not be written to ${path} (ENOENT)`,
    ]);
  });

  it('The store file is written whole or not at all', async () => {
    const { file, store, memory } = start();
    await file.loaded;
    await store.set('a', fresh());
    await store.save();
    const before = readFileSync(path);
    memory.entries = () => {
      throw new Error('no entries');
    };
    await store.set('b', fresh());
    await store.save();
    expect(readFileSync(path)).to.deep.equal(before);
    expect(readdirSync(dir)).to.deep.equal(['entries.snapshot']);
  });

  it('The store file is not written between handing it over and taking it back', async () => {
    const first = start();
    await first.file.loaded;
    await first.store.set('a', fresh());
    await first.store.owns(false);
    expect(existsSync(path)).to.equal(true);
    rmSync(path);
    await first.store.set('b', fresh());
    await first.store.save();
    expect(existsSync(path)).to.equal(false);
    await first.store.owns(true);
    await first.store.save();
    expect(existsSync(path)).to.equal(true);
  });

  it('The store file fills a smaller store as far as it goes', async () => {
    const first = start();
    await first.file.loaded;
    for (let at = 0; at < 50; at++) await first.store.set(`key ${at}`.replace(' ', '-'), fresh());
    await first.store.save();
    const second = start(signed, { maxBytes: 10_000 });
    await second.file.loaded;
    expect(second.store.stats().bytes).to.be.within(1, 10_000);
  });
});
