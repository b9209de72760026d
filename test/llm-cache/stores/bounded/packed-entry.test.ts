import { expect } from 'chai';
import * as fc from 'fast-check';
import { formOf } from '../../../../policies/llm-cache/stores/bounded/form.ts';
import {
  freshUntilIn,
  packEntry,
  unpackEntry,
} from '../../../../policies/llm-cache/stores/bounded/packed-entry.ts';
import { SharedItems } from '../../../../policies/llm-cache/stores/bounded/shared-items.ts';
import { makeEntry } from '../../../support/entry.ts';

describe('An entry packed in memory', () => {
  const time = fc.oneof(
    fc.integer({ min: 0, max: 8.64e15 }),
    fc.double({ min: 0, max: 8.64e15, noNaN: true }),
    fc.integer({ min: 1.7e12, max: 1.8e12 }),
  );
  const count = fc.option(fc.oneof(fc.nat(1e6), fc.maxSafeNat()));
  const text = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.constant('\ud800 half')));
  const entry = fc
    .record({
      model: text,
      requestedModel: text,
      consumer: text,
      stream: fc.boolean(),
      responseId: text,
      usage: fc.option(
        fc.record(
          {
            inputTokens: count,
            outputTokens: count,
            totalTokens: count,
            details: fc.dictionary(fc.constantFrom('cached_tokens', 'a b'), fc.maxSafeNat()),
            terms: fc.array(fc.string()),
          },
          { requiredKeys: ['inputTokens', 'outputTokens', 'totalTokens', 'details'] },
        ),
      ),
      fingerprint: fc.dictionary(
        fc.oneof(fc.string({ maxLength: 70 }), fc.constant('__proto__')),
        fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{8}$/), fc.string()),
      ),
      storedAt: time,
      freshUntil: time,
      expiresAt: time,
      body: fc.uint8Array({ maxLength: 100 }),
    })
    .map((parts) => makeEntry(0, parts));

  it('A packed entry is read as it was, to the last byte', () => {
    fc.assert(
      fc.property(entry, (one) => {
        const packed = packEntry(one);
        const form = JSON.parse(JSON.stringify(formOf(one))) as ReturnType<typeof formOf>;
        const read = unpackEntry(packed, { ...formOf(one), parts: form.parts }, one.consumer);
        expect(Buffer.compare(read.body, one.body)).to.equal(0);
        const { body: _read, ...head } = read;
        const { body: _body, ...wanted } = one;
        expect(head).to.deep.equal({ ...wanted });
        expect(freshUntilIn(packed)).to.equal(one.freshUntil);
      }),
    );
  });

  it('A packed entry takes at most 100 bytes more than its body', () => {
    const fingerprint = Object.fromEntries(
      ['path', '=model', '=messages', '=tools', '=temperature'].map((name) => [name, 'Ab_-09zZ']),
    );
    const now = Date.UTC(2026, 0, 1);
    const one = makeEntry(now, {
      fingerprint,
      responseId: 'chatcmpl-0123456789012345678901234567',
    });
    expect(packEntry(one).length - one.body.length).to.be.at.most(100);
  });

  it('Packed entries share one form where they differ only in their own values', () => {
    const forms = [1, 2, 3].map((at) =>
      JSON.stringify(
        formOf(
          makeEntry(at, {
            responseId: `id ${at}`,
            fingerprint: { path: `aaaaaaa${at}`, stream: 'no' },
            usage: { inputTokens: at, outputTokens: null, totalTokens: at, details: {} },
          }),
        ),
      ),
    );
    expect(new Set(forms).size).to.equal(1);
    expect(JSON.stringify(formOf(makeEntry(1, { model: 'other' })))).to.not.equal(forms[0]);
  });
});

describe('Shared items', () => {
  it('A shared item is held once, as long as an entry uses it', () => {
    const items = new SharedItems<string>(10);
    const make = (key: string) => items.acquire(key, () => `made for ${key}`);
    const [one, other] = [make('a'), make('a')];
    const { bytes } = items;
    const different = items.acquire('b', () => 'made for b');
    expect(one).to.equal(other);
    expect(items.bytes).to.equal(2 * bytes);
    expect([items.of(one), items.of(different)]).to.deep.equal(['made for a', 'made for b']);
    items.release(one);
    items.release(different);
    expect(items.bytes).to.equal(bytes);
    expect([items.of(other), items.of(different)]).to.deep.equal(['made for a', undefined]);
    items.release(other);
    items.release(0);
    expect(items.bytes).to.equal(0);
    expect(items.of(items.acquire('a', () => 'anew'))).to.equal('anew');
  });
});
