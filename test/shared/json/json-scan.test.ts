import { expect } from 'chai';
import * as fc from 'fast-check';
import type { BodyContent } from '../../../policies/shared/body-content.ts';
import { JsonScan } from '../../../policies/shared/json/json-scan.ts';
import { nodeHashing } from '../../../policies/hosts/node/digest.ts';

const encode = (text: string) => new TextEncoder().encode(text);

/** What a scan finds that stops after every so many units, and how often it stopped. */
function scanned(
  bytes: Uint8Array,
  units = Infinity,
): { readonly content: BodyContent; readonly stops: number } {
  const scan = new JsonScan(bytes, nodeHashing);
  let stops = 0;
  while (!scan.step(units)) stops++;
  return { content: scan.content, stops };
}
const contentOf = (text: string) => scanned(encode(text)).content;

/** Whether the bytes are UTF-8, and a JSON object in it: by the platform's own means. */
function expectedProblem(bytes: Uint8Array): 'not-utf8' | 'not-json' | null {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return 'not-utf8';
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'not-json';
  } catch {
    return 'not-json';
  }
}

/** Something like JSON: some of it is. */
const jsonish = fc.oneof(
  fc.json().map((text) => `{"a":${text}}`),
  fc
    .array(
      fc.constantFrom(
        ...'{}[],:"\\-+.eE0123456789 \t\n/bfnrtu'.split(''),
        'true',
        'false',
        'null',
        '"a":',
        '"\\u00e9"',
        '\\ud83d',
        'é',
        '😀',
        '\u0000',
        '\ufeff',
      ),
      { maxLength: 12 },
    )
    .map((parts) => `{"a":${parts.join('')}}`),
  fc.string(),
);

describe('The scan of a request body', () => {
  it('The body scan accepts as JSON objects exactly what JSON.parse does', () => {
    fc.assert(
      fc.property(jsonish, (text) => {
        expect(contentOf(text).problem, text).to.equal(expectedProblem(encode(text)));
      }),
      { numRuns: 20_000 },
    );
  });

  it('The body scan accepts as UTF-8 exactly what a decoder does', () => {
    const byte = fc.oneof(
      fc.nat(0xff),
      fc.constantFrom(0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5),
      fc.constantFrom(0x8f, 0x90, 0x9f, 0xa0),
    );
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 5 }), (odd) => {
        const inside = odd.filter((one) => one >= 0x20 && one !== 0x22 && one !== 0x5c);
        const bytes = Uint8Array.from([...encode('{"a":"'), ...inside, ...encode('"}')]);
        expect(scanned(bytes).content.problem).to.equal(expectedProblem(bytes));
      }),
      { numRuns: 20_000 },
    );
  });

  it('The body scan finds the same wherever it pauses', () => {
    fc.assert(
      fc.property(jsonish, fc.integer({ min: 1, max: 40 }), (text, units) => {
        const bytes = encode(text);
        expect(scanned(bytes, units).content).to.deep.equal(scanned(bytes).content);
      }),
      { numRuns: 5000 },
    );
    const long = encode(`{"a":"${'x'.repeat(200_000)}","b":[${'1,'.repeat(200_000)}1]}`);
    expect(scanned(long, 10_000).content).to.deep.equal(scanned(long).content);
  });

  it('The body scan has the values of short members, and the kind of a long one', () => {
    const text = JSON.stringify({
      model: 'gpt-4o',
      n: 2,
      stream: true,
      none: null,
      messages: [{ role: 'user' }, {}],
      input: ['a', 'b', 'c'],
      tokens: [1, 2],
      empty: [],
      tool: { name: 'x' },
      prompt: 'x'.repeat(5000),
    });
    expect({ ...contentOf(text).outline }).to.deep.equal({
      model: 'gpt-4o',
      n: 2,
      stream: true,
      none: null,
      messages: [{}, ,], // oxlint-disable-line no-sparse-arrays
      input: ['', , ,], // oxlint-disable-line no-sparse-arrays
      tokens: [0, ,], // oxlint-disable-line no-sparse-arrays
      empty: [],
      tool: { name: 'x' },
      prompt: '',
    });
    expect(contentOf('{"a":1,"a":2}').outline['a']).to.equal(2);
    expect(contentOf('{"__proto__":1}').outline['__proto__']).to.equal(1);
  });

  it('The body scan keeps long values as a digest of their canonical form', () => {
    const [one, other] = ['{"a":[1.0,"%"]}', '{ "a" : [ 1, "%" ] }'].map(
      (text) => contentOf(text.replace('%', 'x'.repeat(100_000))).members,
    );
    expect(one?.get('a')).to.match(/^#[\w-]{43}$/);
    expect(one).to.deep.equal(other);
    expect(contentOf('{"a":[1,2]}').members?.get('a')).to.equal('[1,2]');
  });

  it('The body scan knows a body without a canonical form by all its bytes', () => {
    const { members, digest } = contentOf('{"a":1,"a":2}');
    expect([members, digest]).to.deep.equal([null, nodeHashing.of(encode('{"a":1,"a":2}'))]);
  });

  it('The body scan refuses a body with more than 1,000 members', () => {
    const of = (count: number) =>
      contentOf(`{${Array.from({ length: count }, (_, at) => `"${at}":0`).join()}}`).problem;
    expect([of(1000), of(1001)]).to.deep.equal([null, 'too-many-members']);
  });

  describe('Pauses', () => {
    const size = 1 << 20;
    const fill = (item: string) =>
      Array(Math.floor(size / (item.length + 1)))
        .fill(item)
        .join();
    const bodies: readonly (readonly [string, string])[] = [
      ['one long string', `"${'x'.repeat(size)}"`],
      ['a string of three-byte characters', `"${'漢'.repeat(size / 3)}"`],
      ['escapes', `"${'\\u0041'.repeat(size / 6)}"`],
      ['white space', `${' '.repeat(size)}1`],
      ['digits', '1'.repeat(size)],
      ['numbers', `[${fill('1')}]`],
      ['empty objects', `[${fill('{}')}]`],
      ['brackets', `${'['.repeat(size / 2)}${']'.repeat(size / 2)}`],
      ['members', `{${Array.from({ length: size / 12 }, (_, at) => `"k${at}":1`).join()}}`],
    ];
    for (const [what, value] of bodies) {
      it(`The body scan pauses as often as the length asks for in ${what}`, () => {
        const bytes = encode(`{"model":"m","a":${value}}`);
        expect(scanned(bytes, 16_384).stops).to.be.at.least(bytes.length / 16_384 - 1);
      });
    }
  });
});
