import { expect } from 'chai';
import {
  acceptsGzip,
  isNegotiated,
  isSentCompressed,
  takesGzip,
} from '../../policies/llm-cache/compressed-hits.ts';
import { isKept, isNoTransform, keptHeaders } from '../../policies/shared/answer-headers.ts';
import { makeEntry } from '../support/entry.ts';
import { makeRequest } from '../support/llm-request.ts';

describe('Whether a client takes gzip', () => {
  const cases: Record<string, boolean> = {
    gzip: true,
    'gzip, deflate, br, zstd': true,
    'br;q=1.0, gzip;q=0.8, *;q=0.1': true,
    'GZIP ; Q=0.001': true,
    'x-gzip': true,
    '*': true,
    'identity;q=0, *;q=0.2': true,
    'identity;q=0.5, gzip;q=0.5': true,
    'gzip;level=9': true,
    '': false,
    br: false,
    'deflate, identity': false,
    identity: false,
    'gzip;q=0': false,
    'gzip;q=0.000, *': false,
    '*;q=0': false,
    'identity;q=0': false,
    'identity, gzip;q=0.9': false,
    'gzip;q=2': false,
    'gzip;q=high': false,
    'gzip;q=-1': false,
    gzipped: false,
  };
  for (const [header, expected] of Object.entries(cases)) {
    it(`A client that sends Accept-Encoding "${header}" ${expected ? 'takes' : 'does not take'} gzip`, () => {
      expect([acceptsGzip(header), acceptsGzip(header)]).to.deep.equal([expected, expected]);
    });
  }

  it('A client that sends no Accept-Encoding gets no gzip, though any coding would be allowed', () => {
    expect(acceptsGzip(undefined)).to.equal(false);
  });

  it('A client takes gzip only where both its own lines and what is forwarded say so', () => {
    const takes = (forwarded: object, own: object) =>
      takesGzip(makeRequest({ headers: { ...forwarded }, ownHeaders: { ...own } }));
    const asks = { 'accept-encoding': 'gzip' };
    expect(takes(asks, { 'Accept-Encoding': ['br', 'gzip'] })).to.equal(true);
    expect(takes(asks, { 'Accept-Encoding': ['gzip', 'gzip;q=0'] })).to.equal(false);
    expect(takes({}, asks)).to.equal(false);
    expect(takes(asks, {})).to.equal(false);
    expect(takes({ ...asks, 'cache-control': 'max-age=9, no-transform' }, asks)).to.equal(false);
    expect(takes({ ...asks, 'cache-control': 'x-no-transform' }, asks)).to.equal(true);
  });
});

describe('Bodies that are sent compressed', () => {
  const plain = { headers: {} };
  const barred = { headers: { 'cache-control': 'no-transform' } };

  it('A body of 64 KiB or more is sent compressed where it takes a quarter at most, unless its answer says no-transform', () => {
    expect(isSentCompressed(plain, 65_536, 16_384)).to.equal(true);
    expect(isSentCompressed(plain, 65_535, 100)).to.equal(false);
    expect(isSentCompressed(plain, 65_536, 16_385)).to.equal(false);
    expect(isSentCompressed(barred, 1_000_000, 100)).to.equal(false);
  });

  it('A long body is announced as negotiated, in either form, unless its answer says no-transform', () => {
    const long = new Uint8Array(65_536);
    expect(isNegotiated(makeEntry(0, { body: long }))).to.equal(true);
    expect(isNegotiated(makeEntry(0, { body: new Uint8Array(9), coding: 'gzip' }))).to.equal(true);
    expect(isNegotiated(makeEntry(0, { body: new Uint8Array(9) }))).to.equal(false);
    expect(isNegotiated(makeEntry(0, { body: long, ...barred }))).to.equal(false);
  });
});

describe('The Cache-Control of an answer', () => {
  it('The Cache-Control of an answer is kept as no-transform or not at all', () => {
    const kept = (value: string) =>
      keptHeaders((name) => (name === 'cache-control' ? value : undefined));
    expect(kept('private, No-Transform, max-age=0')).to.deep.equal({
      'cache-control': 'no-transform',
    });
    expect(kept('no-cache, no-store')).to.deep.equal({});
    expect(isKept({ 'cache-control': 'no-transform' })).to.equal(true);
    expect(isKept({ 'cache-control': 'no-transform, public' })).to.equal(false);
    expect(isNoTransform(undefined)).to.equal(false);
  });
});
