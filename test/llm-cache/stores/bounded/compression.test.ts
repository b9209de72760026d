import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { BoundedStore } from '../../../../policies/llm-cache/stores/bounded/bounded-store.ts';
import type { Bucket, Buckets } from '../../../../policies/llm-cache/stores/bounded/key-table.ts';
import type { Codec } from '../../../../policies/llm-cache/stores/bounded/compression-queue.ts';
import { gzipCodec } from '../../../../policies/llm-cache/stores/gzip.ts';
import { MemoryStore } from '../../../../policies/llm-cache/stores/memory.ts';
import { makeEntry } from '../../../support/entry.ts';

/** As a stream of chat is: each event says much of what the one before it said. */
const stream = (events: number, more = '') =>
  new TextEncoder().encode(
    Array.from(
      { length: events },
      (_, at) =>
        `data: {"id":"chatcmpl-1${more}","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"word ${(at * 7919) % 997}"},"finish_reason":null}]}\n\n`,
    ).join(''),
  );

describe("The memory store's compression", () => {
  const now = Date.UTC(2026, 0, 1);
  const open = (maxBytes = 4_000_000) => new MemoryStore({ maxBytes, now: () => now });
  const entry = (body: Uint8Array, more = {}) => makeEntry(now, { body, ...more });

  it('The memory store keeps a stream in a fifth of its bytes or less, and returns it byte for byte', async () => {
    const store = open();
    const body = stream(100);
    await store.set('ns:a', entry(body));
    const before = store.stats().bytes;
    expect(before).to.be.above(body.length);
    await store.settled();
    expect(store.stats().bytes - (before - body.length)).to.be.below(body.length / 5);
    const got = await store.get('ns:a');
    expect(Buffer.compare(got?.body ?? new Uint8Array(), body)).to.equal(0);
    expect(got).to.deep.include({ ...entry(body), body: got?.body });
    await store.close();
    expect(store.stats().bytes).to.equal(0);
  });

  it('The memory store gives a long stream as it is kept to a caller who takes gzip, which takes no more memory', async () => {
    const store = open();
    const body = stream(600);
    await store.set('ns:a', entry(body));
    expect(await store.get('ns:a', true)).to.not.have.property('coding');
    await store.settled();
    const { bytes } = store.stats();
    for (const _ of [1, 2]) {
      const got = await store.get('ns:a', true);
      expect(got?.coding).to.equal('gzip');
      expect(gunzipSync(got?.body ?? body).equals(body)).to.equal(true);
      expect(store.stats().bytes).to.equal(bytes);
      if (got !== undefined) store.used('ns:a', got);
    }
    expect(store.getNow('ns:a')?.body).to.deep.equal(body);
    expect(store.stats().bytes).to.equal(bytes + body.length);
    expect(store.getNow('ns:a', true)?.coding).to.equal('gzip');
    expect(await store.look('ns:a')).to.include({ bytes: body.length, hits: 2 });
    await store.set('ns:a', entry(stream(600, 'other')));
    expect(await store.get('ns:a', true)).to.not.have.property('coding');
    await store.close();
  });

  it('The memory store expands short bodies, and those whose answer says no-transform, even for a caller who takes gzip', async () => {
    const store = open();
    const headers = { 'cache-control': 'no-transform' };
    await store.set('ns:short', entry(stream(100)));
    await store.set('ns:barred', entry(stream(600), { headers }));
    await store.settled();
    for (const key of ['ns:short', 'ns:barred']) {
      expect(await store.get(key, true)).to.not.have.property('coding');
    }
    await store.close();
  });

  it('The memory store shows the size of a compressed body as it came, and counts its hits', async () => {
    const store = open();
    const body = stream(50);
    await store.set('ns:a', entry(body));
    await store.settled();
    for (const _ of [1, 2]) {
      const got = await store.get('ns:a');
      if (got !== undefined) store.used('ns:a', got);
    }
    expect(await store.look('ns:a')).to.include({ bytes: body.length, hits: 2 });
    store.used('ns:a', entry(body, { storedAt: now - 1 }));
    expect((await store.look('ns:a'))?.hits).to.equal(2);
    await store.close();
  });

  it('The memory store leaves incompressible, short and very long bodies as they are', async () => {
    for (const body of [randomBytes(20_000), stream(2), stream(3000)]) {
      const store = open();
      await store.set('ns:a', entry(body));
      const { bytes } = store.stats();
      await store.settled();
      expect(store.stats().bytes).to.equal(bytes);
      expect(Buffer.compare((await store.get('ns:a'))?.body ?? stream(1), body)).to.equal(0);
      await store.close();
    }
  });

  it('The memory store returns nothing replaced, deleted, purged or closed during compression', async () => {
    const store = open();
    const put = (key: string, more: string) => store.set(`ns:${key}`, entry(stream(60, more)));
    for (const key of ['replaced', 'deleted']) await put(key, 'old');
    await put('replaced', 'new');
    await store.delete('ns:deleted');
    await store.settled();
    const text = new TextDecoder().decode((await store.get('ns:replaced'))?.body);
    expect(text).to.contain('chatcmpl-1new').and.not.contain('chatcmpl-1old');
    expect(await store.get('ns:deleted')).to.equal(undefined);
    await put('purged', 'old');
    await store.purge({});
    await put('closed', 'old');
    await store.close();
    await put('after', 'new');
    await store.settled();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { entries } = await store.list({}, { limit: 10, cursor: null });
    expect(entries.map(({ key }) => key)).to.deep.equal(['ns:after']);
    await store.purge({});
    expect(store.stats()).to.include({ entries: 0, bytes: 0 });
    await store.close();
  });

  it('The memory store holds several times as many compressed entries within its bytes, each as it came', async () => {
    const bodies = Array.from({ length: 60 }, (_, at) => stream(60, ` of ${at}`));
    const store = open(300_000);
    for (const [at, body] of bodies.entries()) {
      await store.set(`ns:${at}`, entry(body));
      await store.settled();
    }
    expect(store.stats().entries).to.equal(60);
    for (const round of [1, 2, 3]) {
      for (const [at, body] of bodies.entries()) {
        const got = await store.get(`ns:${(at * round) % 60}`);
        const wanted = bodies[(at * round) % 60] ?? body;
        if (got !== undefined) expect(Buffer.compare(got.body, wanted)).to.equal(0);
        expect(store.stats().bytes).to.be.at.most(300_000);
      }
    }
    expect(store.stats().entries).to.be.above(40);
    await store.close();
  });

  it('The memory store returns any compressed body as it came', async () => {
    const body = fc.oneof(
      fc.uint8Array({ minLength: 1000, maxLength: 5000 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 50, max: 900 }))
        .map(
          ([part, times]) => new Uint8Array(Buffer.concat(Array(times).fill(part) as Uint8Array[])),
        ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(body, { minLength: 1, maxLength: 5 }), async (bodies) => {
        const store = open();
        for (const [at, one] of bodies.entries()) await store.set(`ns:${at}`, entry(one));
        await store.settled();
        for (const [at, one] of bodies.entries()) {
          const got = await store.get(`ns:${at}`);
          expect(Buffer.compare(got?.body ?? new Uint8Array(), one)).to.equal(0);
          // Readers tell bodies apart by their memory.
          expect(got?.body.buffer).to.not.equal((await store.get(`ns:${at + 1}`))?.body.buffer);
        }
        await store.close();
      }),
      { numRuns: 40 },
    );
  });

  it('The memory store takes a body that cannot be expanded any more for a miss', async () => {
    const broken: Codec = {
      ...gzipCodec,
      expand: () => {
        throw new Error('damaged');
      },
    };
    const known = new Map<number, Bucket>();
    const buckets: Buckets = {
      find: (number) => known.get(number),
      put: (number, bucket) => void known.set(number, bucket),
      remove: (number) => void known.delete(number),
      clear: () => known.clear(),
    };
    const store = new BoundedStore({ maxBytes: 1e6, buckets, overheadBytes: 10, codec: broken });
    await store.set('ns:a', makeEntry(Date.now(), { body: stream(50) }));
    await store.settled();
    expect(await store.get('ns:a')).to.equal(undefined);
    expect(store.stats()).to.include({ entries: 0, bytes: 0 });
  });

  it('The gzip codec notices a body that is not what was compressed', () => {
    const body = stream(30);
    return gzipCodec.compress(body).then((bytes) => {
      expect(Buffer.compare(gzipCodec.expand(bytes), body)).to.equal(0);
      bytes[bytes.length - 6] = (bytes[bytes.length - 6] ?? 0) ^ 1;
      expect(() => gzipCodec.expand(bytes)).to.throw();
    });
  });
});
