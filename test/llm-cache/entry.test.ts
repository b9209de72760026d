import { expect } from 'chai';
import * as fc from 'fast-check';
import { decodeEntry, encodeEntry, isEntry } from '../../policies/llm-cache/entry.ts';
import { keptHeaders } from '../../policies/shared/answer-headers.ts';
import { makeEntry } from '../support/entry.ts';

const entry = makeEntry(1_700_000_000_000, { consumer: 'ada ü', stream: true });

describe('An encoded entry', () => {
  it('An encoded entry decodes to what it was made of', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.option(fc.string()),
        fc.dictionary(
          fc.constantFrom('content-type', 'openai-model', 'openai-version'),
          fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,20}$/),
        ),
        (body, model, headers) => {
          const made = makeEntry(5, { body, model, headers: { ...headers } });
          const { body: got, ...rest } = decodeEntry(encodeEntry(made)) ?? entry;
          const { body: _body, ...expected } = made;
          expect(JSON.stringify(rest)).to.equal(JSON.stringify(expected));
          expect(Buffer.compare(got, body)).to.equal(0);
        },
      ),
    );
  });

  it('An encoded entry decodes out of the middle of a larger buffer', () => {
    const bytes = encodeEntry(entry);
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 7);
    expect(decodeEntry(larger.subarray(7, 7 + bytes.length))?.consumer).to.equal('ada ü');
  });

  it('Bytes that are no entry, or code their body in an unknown way, decode to nothing', () => {
    const bytes = encodeEntry(entry);
    bytes[0] = 1;
    expect(decodeEntry(bytes)).to.equal(undefined);
    expect(decodeEntry(new Uint8Array())).to.equal(undefined);
    expect(decodeEntry(new Uint8Array(5))).to.equal(undefined);
    expect(decodeEntry(new TextEncoder().encode('{"a":1}'))).to.equal(undefined);
  });

  it('A damaged or cut entry never throws, and never decodes with a part missing', () => {
    const bytes = encodeEntry(entry);
    const damage = fc.record({
      cut: fc.integer({ min: 0, max: bytes.length }),
      at: fc.integer({ min: 0, max: bytes.length - 1 }),
      value: fc.integer({ min: 0, max: 255 }),
    });
    fc.assert(
      fc.property(damage, ({ cut, at, value }) => {
        const damaged = bytes.slice(0, cut);
        if (at < cut) damaged[at] = value;
        const decoded = decodeEntry(damaged);
        if (decoded === undefined) return;
        expect(Object.keys(decoded)).to.have.members(Object.keys(entry));
        expect(decoded.storedAt).to.be.a('number');
        for (const text of Object.values(decoded.headers)) expect(text).to.be.a('string');
      }),
      { numRuns: 2000 },
    );
  });

  const withHead = (head: string) => {
    const text = new TextEncoder().encode(head);
    const bytes = new Uint8Array(5 + text.length);
    new DataView(bytes.buffer).setUint32(1, text.length);
    bytes.set(text, 5);
    return bytes;
  };
  const { body: _body, ...head } = entry;

  it('An entry whose head is JSON of another shape decodes to nothing', () => {
    expect(decodeEntry(withHead(JSON.stringify(head)))).to.not.equal(undefined);
    for (const other of ['{}', '[]', 'null', '1', '{"namespace":1}', '{', '']) {
      expect(decodeEntry(withHead(other)), other).to.equal(undefined);
    }
    const { usage } = head;
    for (const part of [
      { headers: null },
      { headers: [] },
      { headers: { 'content-type': 1 } },
      { headers: { 'content-type': null } },
      { usage: [] },
      { usage: {} },
      { usage: { ...usage, inputTokens: '11' } },
      { usage: { ...usage, details: null } },
      { usage: { ...usage, details: { cached_tokens: '4' } } },
      { one: 'member more' },
      // What a client could be made to believe, or a gateway to fail on.
      { headers: { 'set-cookie': 'a=b' } },
      { headers: { 'Content-Type': 'application/json' } },
      { headers: { 'content-type': 'a\r\nset-cookie: a=b' } },
      { headers: { 'content-type': 'a\u0000' } },
      { headers: { 'content-type': 'ŧ' } },
      { headers: { 'content-type': 'x'.repeat(2000) } },
      { headers: { 'access-control-allow-origin': 'https://example.com' } },
      { protocol: 'telnet' },
      { protocol: '__proto__' },
      { storedAt: -1 },
      { storedAt: 8.64e15 + 1 },
      { freshUntil: '2026-01-01' },
      { expiresAt: null },
      { usage: { ...usage, inputTokens: -1 } },
      { usage: { ...usage, totalTokens: 1e300 } },
      { usage: { ...usage, details: { cached_tokens: -4 } } },
    ]) {
      const text = JSON.stringify({ ...head, ...part });
      expect(decodeEntry(withHead(text)), text).to.equal(undefined);
    }
    const text = JSON.stringify(head).replace(/"expiresAt":\d+/, '"expiresAt":1e999');
    expect(decodeEntry(withHead(text)), text).to.equal(undefined);
  });

  it('An entry keeps the headers that are replayed, and no others', () => {
    const sent = {
      'content-type': 'application/json; charset=utf-8',
      'openai-model': 'gpt-4o',
      'openai-version': '2020-10-01',
      'access-control-allow-origin': '*',
      'set-cookie': 'a=b',
    };
    const headers = keptHeaders((name) => Reflect.get(sent, name) as string | undefined);
    const { 'set-cookie': _cookie, ...kept } = sent;
    expect(headers).to.deep.equal(kept);
    const made = { ...entry, headers };
    expect(decodeEntry(encodeEntry(made))?.headers).to.deep.equal(kept);
    expect(isEntry(made)).to.equal(true);
    expect(isEntry({ ...entry, headers: sent })).to.equal(false);
    const odd = { 'content-type': 'ŧ', 'access-control-allow-origin': 'https://example.com' };
    expect(keptHeaders((name) => Reflect.get(odd, name) as string | undefined)).to.deep.equal({});
  });

  it('An entry that lacks a member, or has one of another type, decodes to nothing', () => {
    for (const name of Object.keys(head)) {
      expect(decodeEntry(withHead(JSON.stringify({ ...head, [name]: undefined }))), name).to.equal(
        undefined,
      );
      expect(decodeEntry(withHead(JSON.stringify({ ...head, [name]: [1] }))), name).to.equal(
        undefined,
      );
    }
  });
});
