import { expect } from 'chai';
import {
  asksForFresh,
  noControls,
  readControls,
} from '../../policies/llm-cache/client-controls.ts';

type Headers = Readonly<Record<string, string>>;

const read = (headers: Headers) => readControls((name) => headers[name]);
const cacheControl = (value: string) => read({ 'cache-control': value });

/** Every row: the headers, and what differs from a request without any. */
const rows: readonly (readonly [string, Headers, object])[] = [
  ['no headers', {}, {}],
  ['no-cache', { 'cache-control': 'no-cache' }, { bypass: 'no-cache' }],
  ['no-store', { 'cache-control': 'no-store' }, { bypass: 'no-store' }],
  ['no-store of our own', { 'x-cache-control': 'no-store' }, { bypass: 'no-store' }],
  [
    'no-cache beside no-store as the reason',
    { 'cache-control': 'no-store, no-cache' },
    { bypass: 'no-cache' },
  ],
  ['only-if-cached', { 'cache-control': 'only-if-cached' }, { onlyIfCached: true }],
  ['refresh', { 'x-cache-control': 'refresh' }, { refresh: true }],
  ['no refresh from Cache-Control', { 'cache-control': 'refresh' }, {}],
  ['no no-cache from X-Cache-Control', { 'x-cache-control': 'no-cache' }, {}],
  ['max-age', { 'cache-control': 'max-age=60' }, { maxAge: 60 }],
  ['max-age=0', { 'cache-control': 'max-age=0' }, { maxAge: 0 }],
  ['max-age in quotes', { 'cache-control': 'max-age="60"' }, { maxAge: 60 }],
  [
    'the smaller of two max-age',
    { 'cache-control': 'max-age=60, max-age=5, max-age=30' },
    { maxAge: 5 },
  ],
  [
    'a good max-age beside a bad one',
    { 'cache-control': 'max-age=x, max-age=5, max-age=y' },
    { maxAge: 5 },
  ],
  ['X-Cache-TTL', { 'x-cache-ttl': '90' }, { ttl: 90 }],
  ['X-Cache-TTL with spaces', { 'x-cache-ttl': ' 90 ' }, { ttl: 90 }],
  ['X-Cache-Type: semantic', { 'x-cache-type': 'semantic' }, { exact: false }],
  ['X-Cache-Type in capitals', { 'x-cache-type': ' SEMANTIC ' }, { exact: false }],
  ['X-Cache-Type: exact', { 'x-cache-type': 'exact' }, {}],
  ['X-Cache-Type: both', { 'x-cache-type': 'both' }, {}],
  ['an unknown X-Cache-Type', { 'x-cache-type': 'fuzzy' }, {}],
  [
    'any case',
    { 'cache-control': 'No-Store', 'x-cache-control': 'REFRESH' },
    { bypass: 'no-store', refresh: true },
  ],
  [
    'spaces and tabs',
    { 'cache-control': ' \tmax-age =\t5 ,\tonly-if-cached  ' },
    { maxAge: 5, onlyIfCached: true },
  ],
  ['empty members', { 'cache-control': ',, no-cache ,,' }, { bypass: 'no-cache' }],
  [
    'lines joined with a comma',
    { 'cache-control': 'max-age=5, no-transform, no-store' },
    { maxAge: 5, bypass: 'no-store' },
  ],
  [
    'an argument where there should be none',
    { 'cache-control': 'no-cache="set-cookie"' },
    { bypass: 'no-cache' },
  ],
  [
    'other directives',
    { 'cache-control': 'no-transform, max-stale=5, min-fresh=3, stale-if-error=9' },
    {},
  ],
  [
    'names that only begin or end like ours',
    { 'cache-control': 'no-store-please, x-no-cache, nomax-age=3' },
    {},
  ],
  [
    'words within a quoted argument',
    { 'cache-control': 'ext="a, no-store, b", ext2="\\", no-cache"' },
    {},
  ],
  [
    'what follows a quoted argument',
    { 'cache-control': 'ext="a,b", no-store' },
    { bypass: 'no-store' },
  ],
];

describe('The controls that a client sends', () => {
  for (const [name, headers, expected] of rows) {
    it(`The reader of client controls reads ${name}`, () => {
      expect(read(headers)).to.deep.equal({ ...noControls, ...expected });
    });
  }

  for (const value of ['', '-1', '1.5', '1e3', 'x', '0x10', '5s']) {
    it(`The reader of client controls ignores ${JSON.stringify(value)} as a number of seconds`, () => {
      expect(cacheControl(`max-age=${value}`).maxAge).to.equal(null);
      expect(read({ 'x-cache-ttl': value }).ttl).to.equal(null);
    });
  }

  it('The reader of client controls ignores a TTL that comes twice, because the two may differ', () => {
    expect(read({ 'x-cache-ttl': '5, 6' }).ttl).to.equal(null);
  });

  it('The reader of client controls ignores a TTL of zero', () => {
    expect(read({ 'x-cache-ttl': '0' }).ttl).to.equal(null);
  });

  it('The reader of client controls takes a huge number for a long time', () => {
    const { maxAge } = cacheControl(`max-age=${'9'.repeat(400)}`);
    expect(maxAge).to.equal(2 ** 31);
  });

  it('The reader of client controls reads a hostile header in linear time', () => {
    const blanks = ' '.repeat(30_000);
    const started = performance.now();
    for (const value of [
      `a${blanks}b`,
      `a=${blanks}"`,
      `a${blanks}=${blanks}"`,
      `a="${'\\"'.repeat(30_000)}`,
    ]) {
      expect(cacheControl(value)).to.deep.equal(noControls);
    }
    expect(performance.now() - started).to.be.below(1000);
  });

  describe('A fresh answer', () => {
    it('A fresh answer is asked for by no-cache, no-store, refresh and max-age=0', () => {
      for (const value of ['no-cache', 'no-store', 'max-age=0']) {
        expect(asksForFresh(cacheControl(value)), value).to.equal(true);
      }
      expect(asksForFresh(read({ 'x-cache-control': 'refresh' }))).to.equal(true);
    });

    it('A fresh answer is not asked for by other headers', () => {
      expect(asksForFresh(noControls)).to.equal(false);
      for (const value of ['max-age=1', 'only-if-cached', 'max-age=', 'no-transform']) {
        expect(asksForFresh(cacheControl(value)), value).to.equal(false);
      }
      expect(asksForFresh(read({ 'x-cache-ttl': '5', 'x-cache-type': 'semantic' }))).to.equal(
        false,
      );
    });
  });
});
