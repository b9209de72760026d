import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  type EntryFilter,
  type ListedEntry,
  type Page,
  type Store,
  UnknownCursor,
} from '../../policies/llm-cache/stores/store.ts';
import { makeEntry } from './entry.ts';

/** A store under test, and its clock. */
export interface StoreUnderTest {
  readonly store: Store;
  now(): number;
  /** Advances the clock by `ms`. */
  advance(ms: number): Promise<void>;
}

/** Defines the tests that every store must pass. */
export function describeStore(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} as any store`, () => {
    let test: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      test = await make();
      store = test.store;
    });
    afterEach(() => store.close());

    const entry = (parts = {}) => makeEntry(test.now(), parts);

    it(`${name} returns what was put in, every byte of it`, async () => {
      const body = Uint8Array.from({ length: 5000 }, (_, index) => index % 256);
      const put = entry({ body, consumer: 'ada', stream: true, protocol: 'messages' });
      expect(await store.set('a', put)).to.equal(true);
      const { body: got, ...rest } = (await store.get('a')) ?? entry({ body: new Uint8Array() });
      const { body: _body, ...expected } = put;
      // A near store may keep it for a shorter time.
      expect(rest).to.deep.equal({ ...expected, expiresAt: rest.expiresAt });
      expect(rest.expiresAt).to.be.within(test.now(), put.expiresAt);
      expect(Buffer.compare(got, body)).to.equal(0);
    });

    it(`${name} returns a compressed body only to a caller that accepts gzip, and the same bytes either way`, async () => {
      const body = new TextEncoder().encode('data: {"same":"again"}\n\n'.repeat(4000));
      await store.set('a', entry({ body }));
      await store.flushed?.();
      const kept = await store.get('a', true);
      const expanded = kept?.coding === 'gzip' ? gunzipSync(kept.body) : (kept?.body ?? []);
      expect(Buffer.compare(body, Buffer.from(expanded))).to.equal(0);
      for (const got of [await store.get('a'), await store.get('a', false)]) {
        expect(got).to.not.have.property('coding');
        expect(Buffer.compare(body, got?.body ?? new Uint8Array())).to.equal(0);
      }
    });

    it(`${name} keeps an entry without usage, model or response id`, async () => {
      await store.set('a', entry({ usage: null, model: null, responseId: null }));
      expect(await store.get('a')).to.include({ usage: null, model: null, responseId: null });
    });

    it(`${name} has nothing under a key that was not put in, whatever its name`, async () => {
      for (const key of ['a', 'constructor', '__proto__', 'toString', '']) {
        expect(await store.get(key)).to.equal(undefined);
        expect(await store.delete(key)).to.equal(false);
      }
    });

    it(`${name} treats every key as a plain name`, async () => {
      for (const key of ['constructor', '__proto__', 'a:b:c', 'ü%20']) {
        await store.set(key, entry({ responseId: key }));
        expect((await store.get(key))?.responseId).to.equal(key);
      }
    });

    it(`${name} replaces an entry`, async () => {
      await store.set('a', entry({ responseId: 'old' }));
      await store.set('a', entry({ responseId: 'new' }));
      expect((await store.get('a'))?.responseId).to.equal('new');
    });

    it(`${name} drops an entry when it expires`, async () => {
      await store.set('a', entry({ expiresAt: test.now() + 60_000 }));
      await test.advance(40_000);
      expect(await store.get('a')).to.not.equal(undefined);
      await test.advance(20_000);
      expect(await store.get('a')).to.equal(undefined);
    });

    it(`${name} shares nothing that a caller could change`, async () => {
      const headers = { 'content-type': 'application/json' };
      const body = new TextEncoder().encode('{"a":1}');
      await store.set('a', entry({ headers, body }));
      headers['content-type'] = 'changed';
      body.fill(0);
      const first = await store.get('a');
      expect(first?.headers['content-type']).to.equal('application/json');
      expect(new TextDecoder().decode(first?.body)).to.equal('{"a":1}');
      Reflect.set(first?.headers ?? {}, 'content-type', 'changed');
      Reflect.set(first?.usage ?? {}, 'inputTokens', 999);
      Reflect.set(first?.usage?.details ?? {}, 'reasoning_tokens', 999);
      const second = await store.get('a');
      expect(second?.headers['content-type']).to.equal('application/json');
      expect(second?.usage).to.deep.equal(entry().usage);
    });

    it(`${name} deletes one entry, once`, async () => {
      await store.set('a', entry());
      await store.set('b', entry());
      expect(await store.delete('a')).to.equal(true);
      expect(await store.delete('a')).to.equal(false);
      expect(await store.get('a')).to.equal(undefined);
      expect(await store.get('b')).to.not.equal(undefined);
    });

    const filters: [object, string[]][] = [
      [{ namespace: 'one' }, ['one:a', 'one:b']],
      [{ model: 'm1' }, ['one:a', 'two:a']],
      [{ model: 'asked' }, ['two:b']],
      [{ consumer: 'ada' }, ['one:a', 'two:b']],
      [{ namespace: 'one', consumer: 'ada' }, ['one:a']],
      [{ consumer: 'nobody' }, []],
      [{}, ['one:a', 'one:b', 'two:a', 'two:b']],
    ];
    for (const [filter, gone] of filters) {
      it(`${name} purges what matches ${JSON.stringify(filter)}, and nothing else`, async () => {
        await store.set('one:a', entry({ namespace: 'one', model: 'm1', consumer: 'ada' }));
        await store.set('one:b', entry({ namespace: 'one', model: 'm2', consumer: 'bob' }));
        await store.set('two:a', entry({ namespace: 'two', model: 'm1' }));
        await store.set(
          'two:b',
          entry({ namespace: 'two', requestedModel: 'asked', consumer: 'ada' }),
        );
        expect(await store.purge(filter)).to.equal(gone.length);
        for (const key of ['one:a', 'one:b', 'two:a', 'two:b']) {
          expect((await store.get(key)) === undefined, key).to.equal(gone.includes(key));
        }
      });
    }

    it(`${name} does not keep an answer asked for before its purge or deletion`, async () => {
      const askedAt = performance.now();
      await test.advance(5);
      await store.purge({ model: 'bad' });
      await store.delete('by:key');
      await store.set('bad:1', entry({ model: 'bad' }), askedAt);
      await store.set('by:key', entry(), askedAt);
      await store.set('good:1', entry({ model: 'good' }), askedAt);
      for (const key of ['bad:1', 'by:key']) {
        await store.list({}, { limit: 1, cursor: null });
        expect(await store.get(key), key).to.equal(undefined);
      }
      expect(await store.get('good:1')).to.not.equal(undefined);
      await test.advance(5);
      await store.set('bad:1', entry({ model: 'bad' }));
      expect(await store.get('bad:1')).to.not.equal(undefined);
    });

    it(`${name} keeps nothing asked for before more purges than it remembers`, async () => {
      const askedAt = performance.now();
      await test.advance(5);
      await store.delete('the:first');
      for (let n = 0; n < 1200; n++) await store.delete(`later:${n}`);
      await store.set('the:first', entry(), askedAt);
      await store.list({}, { limit: 1, cursor: null });
      expect(await store.get('the:first')).to.equal(undefined);
    });

    it(`${name} counts what a purge would remove, and leaves it there`, async () => {
      await store.set('one:a', entry({ namespace: 'one' }));
      await store.set('two:b', entry({ namespace: 'two' }));
      expect(await store.purge({ namespace: 'one' }, true)).to.equal(1);
      expect(await store.purge({}, true)).to.equal(2);
      expect(await store.get('one:a')).to.not.equal(undefined);
    });

    /** Collects all pages of a listing. */
    async function listAll(filter: EntryFilter, limit: number): Promise<ListedEntry[]> {
      const all: ListedEntry[] = [];
      for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null;) {
        const page: Page = await store.list(filter, { limit, cursor });
        expect(page.entries.length).to.be.at.most(limit);
        all.push(...page.entries);
        cursor = page.cursor;
        isFirst = false;
      }
      return all;
    }

    it(`${name} lists every entry once, page by page, as it was put in`, async () => {
      expect(await store.list({}, { limit: 10, cursor: null })).to.deep.equal({
        entries: [],
        cursor: null,
      });
      const keys = Array.from({ length: 45 }, (_, index) => `ns:${index}:ü%20`);
      const put = entry({ consumer: 'ada', body: new Uint8Array(123) });
      for (const key of keys) await store.set(key, put);
      for (const limit of [1, 7, 45, 100]) {
        const listed = await listAll({}, limit);
        expect(listed.map(({ key }) => key).toSorted()).to.deep.equal(keys.toSorted());
      }
      const [first] = await listAll({}, 50);
      const { body: _body, ...head } = put;
      expect(first).to.deep.include({ head, bytes: 123, hits: 0 });
      const whole = await store.list({}, { limit: 45, cursor: null });
      expect(whole.cursor).to.equal(null);
    });

    it(`${name} lists all entries that stay while others come and go`, async () => {
      for (let at = 0; at < 30; at++) await store.set(`stay ${at}`.replace(' ', ':'), entry());
      await store.set('go:1', entry());
      const listed: string[] = [];
      for (let cursor: string | null = null, page = 0; page === 0 || cursor !== null; page++) {
        const found: Page = await store.list({}, { limit: 4, cursor });
        listed.push(...found.entries.map(({ key }) => key));
        cursor = found.cursor;
        await store.delete('go:1');
        await store.set(`new:${page}`, entry());
        if (page > 50) break;
      }
      for (let at = 0; at < 30; at++) expect(listed).to.include(`stay:${at}`);
    });

    it(`${name} lists what matches a filter, and nothing that has expired`, async () => {
      await store.set('one:a', entry({ namespace: 'one', model: 'm1', consumer: 'ada' }));
      await store.set('one:b', entry({ namespace: 'one', requestedModel: 'm1' }));
      await store.set('two:a', entry({ namespace: 'two', consumer: 'ada' }));
      await store.set('one:c', entry({ namespace: 'one', expiresAt: test.now() + 60_000 }));
      await test.advance(60_000);
      const keys = async (filter: EntryFilter) =>
        (await listAll(filter, 10)).map(({ key }) => key).toSorted();
      expect(await keys({ namespace: 'one' })).to.deep.equal(['one:a', 'one:b']);
      expect(await keys({ model: 'm1' })).to.deep.equal(['one:a', 'one:b']);
      expect(await keys({ consumer: 'ada' })).to.deep.equal(['one:a', 'two:a']);
      expect(await keys({ consumer: 'ada', namespace: 'two' })).to.deep.equal(['two:a']);
      expect(await keys({ model: 'nobody' })).to.deep.equal([]);
    });

    it(`${name} rejects a cursor that it has not issued`, async () => {
      for (const cursor of ['', 'x', '1', '{}', '-1.2']) {
        const page = await store.list({}, { limit: 1, cursor }).catch((error: unknown) => error);
        expect(page, cursor).to.be.instanceOf(UnknownCursor);
      }
    });

    it(`${name} shows one entry, and undefined where there is none`, async () => {
      await store.set('a:b', entry({ responseId: 'one', body: new Uint8Array(7) }));
      const found = await store.look('a:b');
      expect(found).to.include({ key: 'a:b', bytes: 7, hits: 0 });
      expect(found?.head.responseId).to.equal('one');
      expect(await store.look('a')).to.equal(undefined);
    });

    it(`${name} counts how often an entry has answered since it was stored`, async () => {
      await store.set('a:b', entry());
      for (const _ of [1, 2, 3]) {
        const got = await store.get('a:b');
        if (got !== undefined) store.used('a:b', got);
      }
      expect((await store.look('a:b'))?.hits).to.equal(3);
      expect((await listAll({}, 10)).map(({ hits }) => hits)).to.deep.equal([3]);
      await test.advance(5);
      await store.set('a:b', entry());
      expect((await store.look('a:b'))?.hits).to.equal(0);
    });

    it(`${name} can be used again after it was closed`, async () => {
      await store.set('a', entry());
      await store.close();
      await store.set('b', entry());
      expect(await store.get('b')).to.not.equal(undefined);
    });

    it(`${name} holds many entries that are put in and read at the same time`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(fc.stringMatching(/^[a-z0-9:]{1,20}$/), { maxLength: 30 }),
          async (keys) => {
            await Promise.all(
              keys.map((key) => store.set(key, entry({ responseId: `id ${key}` }))),
            );
            const got = await Promise.all(keys.map((key) => store.get(key)));
            expect(got.map((one) => one?.responseId)).to.deep.equal(keys.map((key) => `id ${key}`));
          },
        ),
        { numRuns: 20 },
      );
    });
  });
}
